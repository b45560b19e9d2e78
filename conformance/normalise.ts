// Takes out of two runs what must differ between them and nothing else: link indexes, the random part of veth names, MACs
// the kernel or a plugin drew, link-local addresses (made from those), timers, and times.
import { isBridge, type NodeState, type Place } from "./observe.ts";

type Json = Record<string, unknown>;

const macText = /\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b/g;
/** A bridge's id as iproute2 prints it: priority, and its MAC without leading zeros. */
const bridgeIdText = /^[0-9a-f]{4}\.(?:[0-9a-f]{1,2}:){5}[0-9a-f]{1,2}$/;
const vethText = /\bveth[0-9a-f]{8}\b/g;
const linkLocalText = /\bfe80::[0-9a-f]+:[0-9a-f:]*[0-9a-f]\b/g;
/** They count down while one looks, or hold a number the kernel gave out in order. */
const passing = new Set([
  "ifindex",
  "link_index",
  "link_netnsid",
  "hello_timer",
  "tcn_timer",
  "topology_change_timer",
  // Of a packet scheduler's action.
  "index",
  "gc_timer",
  "message_age_timer",
  "forward_delay_timer",
  "hold_timer",
  "valid_life_time",
  "preferred_life_time",
  // Whether duplicate address detection is still going on when one looks.
  "tentative",
]);

/** Names for the drawn values of one scenario: the same value has the same name in every step of it. */
export class Names {
  readonly #names = new Map<string, string>();
  readonly #given: string;
  #veths = 0;

  /** `given`: all the input of the scenario; a MAC that stands there was not drawn. */
  constructor(given: string) {
    this.#given = given.toLowerCase();
  }

  /** Learns what a state shows, links in the order the kernel made them; a bridge's MAC may be that of a port. */
  learn(state: NodeState): void {
    const places: [string, Place][] = [["node", state.node], ...Object.entries(state.pods)];
    for (const [where, place] of places) {
      const links = Object.values(place.links).sort(
        (a, b) => Number(isBridge(a)) - Number(isBridge(b)) || Number(a.ifindex) - Number(b.ifindex),
      );
      for (const link of links) {
        const name = String(link.ifname);
        this.#learnVeth(name);
        const mac = String(link.address);
        if (!this.#names.has(mac) && !this.#given.includes(mac) && mac !== "00:00:00:00:00:00")
          this.#names.set(mac, `<mac of ${where}/${this.text(name)}>`);
      }
    }
  }

  /** Learns from a result what it says of the links, where nobody looks at them. */
  learnResult(result: unknown): void {
    const { interfaces = [] } = (result ?? {}) as { interfaces?: { name: string; mac?: string; sandbox?: string }[] };
    for (const { name, mac, sandbox } of interfaces) {
      this.#learnVeth(name);
      if (mac === undefined || this.#names.has(mac) || this.#given.includes(mac)) continue;
      this.#names.set(mac, `<mac of ${sandbox?.split("/").at(-1) ?? "node"}/${this.text(name)}>`);
    }
  }

  #learnVeth(name: string): void {
    for (const [veth] of name.matchAll(vethText))
      if (!this.#names.has(veth) && !this.#given.includes(veth)) {
        this.#veths += 1;
        this.#names.set(veth, `veth${this.#veths}`);
      }
  }

  /** A text with the drawn values named. */
  text(text: string): string {
    this.#learnVeth(text);
    const padded = bridgeIdText.test(text) ? text.replace(/(?<=[.:])[0-9a-f](?=:|$)/g, "0$&") : text;
    return padded
      .replace(macText, (mac) => this.#names.get(mac) ?? mac)
      .replace(vethText, (veth) => this.#names.get(veth) ?? veth)
      .replace(linkLocalText, "<link-local>");
  }

  /** A value with the drawn values named in every text and key of it. */
  value(value: unknown): unknown {
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) return value.map((each) => this.value(each));
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).filter(([key]) => !passing.has(key));
    return Object.fromEntries(entries.map(([key, each]) => [this.text(key), this.value(each)]));
  }
}

/** Puts names for the indexes: which link, in which namespace, is at the other end of a veth. */
export function nameLinks(state: NodeState): void {
  const places: [string, Place][] = [["node", state.node], ...Object.entries(state.pods)];
  const all = places.flatMap(([where, place]) => Object.values(place.links).map((link) => ({ where, link })));
  for (const { where, link } of all) {
    const index = link.link_index;
    if (index === undefined) continue;
    const peer = all.find(
      (other) =>
        other.link.ifindex === index &&
        other.link.link_index === link.ifindex &&
        (link.link_netnsid === undefined) === (other.where === where),
    );
    (link as Json).peer = peer === undefined ? "elsewhere" : `${peer.where}/${String(peer.link.ifname)}`;
  }
}
