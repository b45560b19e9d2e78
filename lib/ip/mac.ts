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

/** A MAC in our form as one number of 48 bits. */
export const macNumber = (mac: Mac): number => Number.parseInt(mac.replaceAll(":", ""), 16);

/** The six bytes of a MAC in our form. */
export function macBytes(mac: Mac): Uint8Array {
  const bytes = new Uint8Array(6);
  for (let at = 0; at < 6; at++) bytes[at] = Number.parseInt(mac.slice(at * 3, at * 3 + 2), 16);
  return bytes;
}

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** The MAC between two places. "" for no bytes; a hardware address of another length is written the same way. */
export function macFromBytes(bytes: Uint8Array, from = 0, to = bytes.length): Mac {
  const hex = hexOfByte;
  if (to - from === 6)
    return `${hex[bytes[from] ?? 0]}:${hex[bytes[from + 1] ?? 0]}:${hex[bytes[from + 2] ?? 0]}:${hex[bytes[from + 3] ?? 0]}:${hex[bytes[from + 4] ?? 0]}:${hex[bytes[from + 5] ?? 0]}`;
  return Array.from(bytes.subarray(from, to), (byte) => hex[byte]).join(":");
}

/** A locally administered unicast MAC out of six random or hashed bytes. */
export function localMac(bytes: Uint8Array): Mac {
  const own = bytes.slice(0, 6);
  own[0] = ((own[0] ?? 0) & 0xfc) | 0x02;
  return macFromBytes(own);
}
