// Ethernet addresses: lower-case text with colons, the form results and `ip` show.

/** "0a:58:0a:f4:01:02" */
export type Mac = string;

const forms = [/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/, /^([0-9a-f]{2}-){5}[0-9a-f]{2}$/, /^([0-9a-f]{4}\.){2}[0-9a-f]{4}$/];

/** Reads the six-byte forms of Go's net.ParseMAC: "aa:bb:…", "aa-bb-…", "aabb.ccdd.eeff", in either case. */
export function parseMac(text: string): Mac | undefined {
  const lower = text.toLowerCase();
  if (!forms.some((form) => form.test(lower))) return undefined;
  return macFromBytes(
    Uint8Array.from(lower.replace(/[:.-]/g, "").match(/../g) ?? [], (digits) => Number.parseInt(digits, 16)),
  );
}

export function macBytes(mac: Mac): Uint8Array {
  return Uint8Array.from(mac.split(":"), (digits) => Number.parseInt(digits, 16));
}

export function macFromBytes(bytes: Uint8Array): Mac {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** A locally administered unicast MAC out of six random or hashed bytes. */
export function localMac(bytes: Uint8Array): Mac {
  const [first = 0, ...rest] = bytes.subarray(0, 6);
  return macFromBytes(Uint8Array.of((first & 0xfc) | 0x02, ...rest));
}
