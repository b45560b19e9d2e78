/* What the engine does otherwise with what the executable comes with (image.rs); build/quickjs.mjs puts this text in place of
   its JS_REF_COUNT, and calls of these functions where its tables grow and where it looks for shapes.

   What is in the image is never freed, so its objects need no counts of their own: one stands for them
   all. Else reading an object would write to its page, and the kernel would copy the page for each process. The one is so
   large that it never gets to 0, nor to 1, which would say that nobody else has the object and it may change in place. */

/* All that lies below was there at the start. 0: nothing was. Set by image.rs. */
uintptr_t js_frozen_end;
static int js_frozen_ref_count = 1 << 30;

static inline int *js_ref_count(const void *p) {
    return (uintptr_t)p < js_frozen_end ? &js_frozen_ref_count : &js_rc(p)->ref_count;
}
#define JS_REF_COUNT(p) (*js_ref_count(p))

/* Whether a hash table shall grow. That writes to each entry, and so to pages all over the image: longer chains cost a call less. */
static inline bool js_is_full(int entries, int limit) {
    return entries > (js_frozen_end != 0 ? 8 * limit : limit);
}

/* What tells two prototypes apart where shapes are looked up by them. The build may move a block of the image (layout.rs), and
   moved it shall still be found among the same others: its number goes with it, and its address does not. */
uintptr_t js_numbered_end;
static inline uint64_t js_identity(const void *p) {
    return p && (uintptr_t)p < js_numbered_end ? ((uint32_t *)js_rc(p))[-1] : (uintptr_t)p;
}
