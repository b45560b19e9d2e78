// A link is up as soon as it is told to be; that it has a carrier the kernel sees by and by, and until then no packet passes.

/** A line of shell that waits until a link of this name carries packets. */
export const carriesPackets = (name: string): string =>
  `until ip -o link show ${name} | grep -q " state UP "; do sleep 0.01; done`;
