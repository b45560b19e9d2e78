// Text as bytes: the embedded engine has no TextEncoder.

/** The UTF-8 bytes of a text; a lone surrogate becomes U+FFFD. */
export function utf8Bytes(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    let code = character.codePointAt(0) ?? 0;
    if (code >= 0xd800 && code < 0xe000) code = 0xfffd;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
  }
  return Uint8Array.from(bytes);
}

/** The text of UTF-8 bytes. What is not UTF-8 becomes U+FFFD, so names from the kernel never throw. */
export function utf8Text(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at] ?? 0;
    const extra =
      first < 0x80
        ? 0
        : first >= 0xf0 && first < 0xf5
          ? 3
          : first >= 0xe0 && first < 0xf0
            ? 2
            : first >= 0xc2 && first < 0xe0
              ? 1
              : -1;
    let code = extra <= 0 ? first : first & (0x3f >> extra);
    let valid = extra >= 0;
    for (let next = 1; valid && next <= extra; next++) {
      const byte = bytes[at + next] ?? 0;
      valid = (byte & 0xc0) === 0x80;
      code = (code << 6) | (byte & 63);
    }
    const overlong = (extra === 2 && code < 0x800) || (extra === 3 && (code < 0x10000 || code > 0x10ffff));
    valid &&= !overlong && (code < 0xd800 || code >= 0xe000);
    text += valid ? String.fromCodePoint(code) : "\ufffd";
    at += valid ? extra + 1 : 1;
  }
  return text;
}
