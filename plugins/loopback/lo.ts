/** The kernel gives `lo` this index in every netns. */
export const LOOPBACK_IFINDEX = 1;
