/* Memory for a process that lives a few milliseconds: handed out in order, hardly ever reclaimed. The engine and Rust
   (memory.rs) share it. While the heap image is made the blocks come from the image, later from two megabytes of .bss.

   The engine asks for tens of thousands of blocks and frees most of them in its last microsecond, so not freeing is
   free. Small blocks are kept by their size and given out again, and the largest of the others is carved again; once
   all is used up libc takes over, and a long loop stays bounded. The engine's own slabs are switched off
   (build/embedded.mjs): each of their thirty sizes has a page of its own, and a page is what a call pays for.

   One thread allocates at a time: there is only one, and while image.rs lets another make the heap, it waits. In C, between
   the engine's own functions (build/quickjs.mjs), because they are inlined there: an allocator of rquickjs's kind is three calls
   away from them. */

#include <malloc.h>

enum {
    ARENA_SIZE = 2 << 20,  /* several times what an ADD takes */
    ARENA_HEADER = 8,      /* a block's size, in front of it, and in the image its number */
    ARENA_ALIGN = 16,      /* of blocks */
    ARENA_SMALL = 512,     /* freed blocks up to this size are given out again */
};

struct arena_rest {
    uint8_t *next, *end;
};

static uint8_t arena_area[ARENA_SIZE] __attribute__((aligned(4096)));
/* Blocks of the image and of the area lie below. */
uint8_t *arena_end = arena_area + ARENA_SIZE;
/* What is left of where blocks are carved from; nothing before the first block. */
struct arena_rest arena_rest;
/* What is left of the largest freed block that was not small. Carved first. */
static struct arena_rest arena_spare;
/* Freed small blocks by size; each holds the address of the next. */
static void *arena_freed[ARENA_SMALL / ARENA_ALIGN + 1];

/* Set while the heap image is made: the next block's number, and its place where that is planned (layout.rs). Is asked
   about a size of 0 where the image is full, and does not return. */
uint8_t *(*arena_place)(size_t size, uint32_t *number);

/* Carves from there from now on. Returns what was left of the memory before. */
struct arena_rest arena_carve_from(struct arena_rest rest)
{
    struct arena_rest before = arena_rest;
    arena_rest = rest;
    arena_spare = (struct arena_rest){ NULL, NULL };
    memset(arena_freed, 0, sizeof(arena_freed));
    return before;
}

/* What libc lends lies above all that is linked, on its heap or mapped. */
static inline bool arena_has(const void *block)
{
    return (const uint8_t *)block < arena_end;
}

static inline size_t arena_size(const void *block)
{
    return arena_has(block) ? ((const uint32_t *)block)[-2] : malloc_usable_size((void *)block);
}

/* With the next block's header it ends where that one is aligned. */
static inline size_t arena_round(size_t size)
{
    return ((size + ARENA_HEADER + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1)) - ARENA_HEADER;
}

static inline bool arena_has_room(struct arena_rest rest, size_t size)
{
    return (size_t)(rest.end - rest.next) >= 2 * ARENA_ALIGN + size;
}

static void *arena_carve(size_t size);

static __attribute__((cold, noinline)) void *arena_beyond(size_t size)
{
    if (!arena_rest.next) {
        arena_rest = (struct arena_rest){ arena_area, arena_end };
        return arena_carve(size);
    }
    return arena_place ? arena_place(0, NULL) : malloc(size);
}

/* A block of a rounded size; NULL where there is no memory. */
static void *arena_carve(size_t size)
{
    struct arena_rest *rest = arena_has_room(arena_spare, size) ? &arena_spare : &arena_rest;
    if (unlikely(!arena_has_room(*rest, size)))
        return arena_beyond(size);
    uint8_t *block = (uint8_t *)(((uintptr_t)rest->next + ARENA_HEADER + ARENA_ALIGN - 1) & ~(uintptr_t)(ARENA_ALIGN - 1));
    *(uint64_t *)(block - ARENA_HEADER) = size;
    rest->next = block + size;
    return block;
}

/* The same, of what was freed where that is possible. */
static inline void *arena_take(size_t size)
{
    void **freed = &arena_freed[size / ARENA_ALIGN];
    if (size > ARENA_SMALL || !*freed)
        return arena_carve(size);
    void *block = *freed;
    *freed = *(void **)block;
    return block;
}

static __attribute__((cold, noinline)) void *arena_alloc_in_image(size_t size)
{
    uint32_t number;
    uint8_t *block = arena_place(size, &number);
    if (!block)
        block = arena_take(size);
    uint32_t *header = (uint32_t *)(block - ARENA_HEADER);
    header[0] = size;
    header[1] = number;
    return block;
}

/* A block of at least `size` bytes; NULL where there is no memory. */
void *arena_alloc(size_t size)
{
    size = arena_round(size);
    return unlikely(arena_place != NULL) ? arena_alloc_in_image(size) : arena_take(size);
}

void *arena_calloc(size_t size)
{
    void *block = arena_alloc(size);
    return block ? memset(block, 0, size) : NULL;
}

void arena_free(void *block)
{
    /* Objects in the place of something in the image would be taken for such as are never freed. */
    if ((uintptr_t)block < js_frozen_end)
        return;
    if (unlikely(!arena_has(block))) {
        free(block);
        return;
    }
    size_t size = arena_size(block);
    if (size <= ARENA_SMALL) {
        *(void **)block = arena_freed[size / ARENA_ALIGN];
        arena_freed[size / ARENA_ALIGN] = block;
    } else if (size > (size_t)(arena_spare.end - arena_spare.next)) {
        arena_spare = (struct arena_rest){ (uint8_t *)block - ARENA_HEADER, (uint8_t *)block + size };
    }
}

/* As realloc(3); NULL, and the old block as it was, where there is no memory. */
void *arena_realloc(void *block, size_t size)
{
    if (!block)
        return arena_alloc(size);
    if (unlikely(!arena_has(block)))
        return realloc(block, size);
    size_t held = arena_size(block);
    if (size <= held)
        return block;
    void *moved = arena_alloc(size);
    if (moved) {
        memcpy(moved, block, held);
        arena_free(block);
    }
    return moved;
}
