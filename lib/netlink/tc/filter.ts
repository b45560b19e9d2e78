// Filters on what a link receives: RTM_NEWTFILTER and RTM_GETTFILTER of linux/rtnetlink.h. One kind, u32
// that matches everything (linux/pkt_cls.h), with one action, mirred that redirects to another link (linux/tc_act/tc_mirred.h).
import { attrSet, type Infer, type Kind } from "../wire/attrs.ts";
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, type Request } from "../wire/conversation.ts";
import { blob, cstring, nest, u32 } from "../wire/kinds.ts";
import { decodeTcmsg, INGRESS_HANDLE, ROOT_HANDLE, tcmsg, tcmsgBytes } from "./message.ts";

const RTM_NEWTFILTER = 44;
const RTM_GETTFILTER = 46;

/** Priority 1, and ETH_P_ALL of linux/if_ether.h in network order. */
const FIRST_OF_ALL = (1 << 16) | 0x0300;
const TC_U32_TERMINAL = 1;
const TCA_EGRESS_REDIR = 1;
const TC_ACT_STOLEN = 4;

/**
 * struct tc_u32_sel with one key, of which only this is ever asked for: u8 flags, u8 offshift, u8 nkeys, offsets; then
 * struct tc_u32_key { be32 mask; be32 val; int off; int offmask }. A mask of zeros fits every packet.
 */
const selector: Kind<"everything" | "something"> = {
  size: 0,
  encode(writer) {
    writer.u32(TC_U32_TERMINAL | (1 << 16));
    writer.skip(28);
  },
  decode({ words }, at) {
    const keys = ((words[at >>> 2] ?? 0) >>> 16) & 0xff;
    const mask = words[(at >>> 2) + 4];
    return keys === 1 && mask === 0 ? "everything" : "something";
  },
};

/** struct tc_mirred: tc_gen { index, capab, action, refcnt, bindcnt }, eaction, ifindex. The index of the link it redirects to. */
const redirect: Kind<number | undefined> = {
  size: 28,
  encode(writer, ifIndex) {
    for (const word of [0, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR, ifIndex ?? 0]) writer.u32(word);
  },
  decode({ words }, at) {
    const [eaction, ifIndex] = words.subarray((at >>> 2) + 5);
    return eaction === TCA_EGRESS_REDIR ? ifIndex : undefined;
  },
};

const mirredAttrs = attrSet("TCA_MIRRED", { parms: [2, redirect] });
/** TCA_ACT_*; only a mirred's options are looked into. */
const actionAttrs = attrSet("TCA_ACT", { kind: [1, cstring], options: [2, blob] });
const newActionAttrs = attrSet("TCA_ACT", { kind: [1, cstring], options: [2, nest(mirredAttrs)] });
/** TCA_U32_*; the actions are numbered, and the first that takes a packet is the only one. */
const u32Attrs = attrSet("TCA_U32", {
  class: [1, u32],
  selector: [5, selector],
  actions: [7, nest(attrSet("TCA_ACT", { first: [1, nest(actionAttrs)] }))],
});
const newU32Attrs = attrSet("TCA_U32", {
  class: [1, u32],
  selector: [5, selector],
  actions: [7, nest(attrSet("TCA_ACT", { first: [1, nest(newActionAttrs)] }))],
});
const filterAttrs = attrSet("TCA", { kind: [1, cstring], options: [2, blob] });
const newFilterAttrs = attrSet("TCA", { kind: [1, cstring], options: [2, nest(newU32Attrs)] });

export interface Filter {
  readonly ifIndex: number;
  readonly kind: string;
  /** It is asked first of all filters, and about every packet. */
  readonly first: boolean;
  /** Where everything is redirected to by it: a link's index. undefined of a filter that does anything else. */
  readonly redirectsTo: number | undefined;
}

/** Reads a filter out of RTM_NEWTFILTER. Throws a WireError on bytes that are none. */
export function decodeFilter(payload: Uint8Array): Filter {
  const { source, header } = decodeTcmsg(payload);
  const { kind = "", options } = filterAttrs.read(source, tcmsgBytes, payload.length);
  const { actions, selector: fits } = kind === "u32" && options !== undefined ? u32Attrs.decode(options) : {};
  const action = fits === "everything" && actions?.first?.kind === "mirred" ? actions.first.options : undefined;
  return {
    ifIndex: header.ifIndex,
    kind,
    first: header.info === FIRST_OF_ALL,
    redirectsTo: action === undefined ? undefined : mirredAttrs.decode(action).parms,
  };
}

const place = (ifIndex: number, info: number) => tcmsg({ ifIndex, handle: 0, parent: INGRESS_HANDLE, info });

/** Everything that a link receives goes to another link instead, as that one's to send. The link has its ingress already. */
export function addRedirect(ifIndex: number, toIfIndex: number): Request {
  return {
    operation: `filter add #${ifIndex} ingress redirect to #${toIfIndex}`,
    type: RTM_NEWTFILTER,
    flags: NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
    header: place(ifIndex, FIRST_OF_ALL),
    attrs: {
      kind: "u32",
      options: {
        class: ROOT_HANDLE | 1,
        selector: "everything",
        actions: { first: { kind: "mirred", options: { parms: toIfIndex } } },
      },
    } satisfies Infer<typeof newFilterAttrs>,
    set: newFilterAttrs,
  };
}

/** Asks for the filters on what a link receives. */
export function listFilters(ifIndex: number): Request {
  return {
    operation: `filter list #${ifIndex} ingress`,
    type: RTM_GETTFILTER,
    flags: NLM_F_DUMP,
    header: place(ifIndex, 0),
    set: filterAttrs,
  };
}
