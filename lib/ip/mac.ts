// Ethernet addresses: lower-case text with colons, the form results and `ip` show.

/** "0a:58:0a:f4:01:02" */
export type Mac = string;

/** Reads the six-byte forms of Go's net.ParseMAC: "aa:bb:…", "aa-bb-…", "aabb.ccdd.eeff", "aabbccddeeff", in either case. */
export function parseMac(text: string): Mac | undefined {
  const form =
    /^(?:[\da-f]{2}(?::[\da-f]{2}){5}|[\da-f]{2}(?:-[\da-f]{2}){5}|[\da-f]{4}(?:\.[\da-f]{4}){2}|[\da-f]{12})$/i;
  if (!form.test(text)) return undefined;
  const digits = text.toLowerCase().replace(/[:.-]/g, "");
  return [0, 2, 4, 6, 8, 10].map((at) => digits.slice(at, at + 2)).join(":");
}

/** The six bytes of a MAC in our form. */
export function macBytes(mac: Mac): Uint8Array {
  const bytes = new Uint8Array(6);
  for (let at = 0; at < 6; at++) bytes[at] = Number.parseInt(mac.slice(at * 3, at * 3 + 2), 16);
  return bytes;
}

/** "" for no bytes; a hardware address of another length is written the same way. */
export function macFromBytes(bytes: Uint8Array): Mac {
  let text = "";
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    text += `${at === 0 ? "" : ":"}${byte < 16 ? "0" : ""}${byte.toString(16)}`;
  }
  return text;
}

/** A locally administered unicast MAC out of six random or hashed bytes. */
export function localMac(bytes: Uint8Array): Mac {
  const [first = 0, ...rest] = bytes.subarray(0, 6);
  return macFromBytes(Uint8Array.of((first & 0xfc) | 0x02, ...rest));
}
