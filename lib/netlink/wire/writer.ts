// Bytes going out: one buffer that grows, little words at its end. Netlink is in host byte order, which is little endian
// on every machine this is built for; the kinds say so where the network's order is meant.

export class Writer {
  #bytes = new Uint8Array(512);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What has been written; valid until the next write. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Makes room for `count` zero bytes and returns where they begin. */
  skip(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }

  u8(value: number): void {
    const at = this.skip(1);
    this.#bytes[at] = value;
  }

  u16(value: number, at = this.skip(2)): void {
    this.#view.setUint16(at, value, true);
  }

  u32(value: number, at = this.skip(4)): void {
    this.#view.setUint32(at, value, true);
  }

  put(bytes: Uint8Array): void {
    const at = this.skip(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** Zero bytes up to a multiple of four, as every netlink header wants. */
  align(): void {
    const over = this.#length & 3;
    if (over !== 0) this.skip(4 - over);
  }
}
