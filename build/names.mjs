// What the one executable is called: a plugin's type, each, and the command people run.
export const plugins = ["flannel", "bridge", "host-local", "loopback", "bandwidth", "portmap", "tuning", "firewall"];
export const names = [...plugins, "weft"];
