/** Bytes as printable characters, GPT-2's way (Radford et al., 2019): every text is a sequence of 256 symbols, and nothing is unknown. */
/** GPT-2's words: contractions, letters, digits and the rest, each with the space before it. */
export const gpt2Pattern =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** The character of each byte: itself where that is printable, else one from U+0100 on. */
export const byteCharacters: readonly string[] = (() => {
  let next = 256;
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++));
})();
const byteOfCharacter = new Map(byteCharacters.map((character, byte) => [character, byte]));

const plain = /^ ?[!-~]*$/;

/** A text as the characters of its UTF-8 bytes. */
export function toByteCharacters(text: string): string {
  if (plain.test(text)) return text.startsWith(' ') ? `Ġ${text.slice(1)}` : text;
  let out = '';
  for (const byte of Buffer.from(text)) out += byteCharacters[byte]!;
  return out;
}

/** The bytes that characters stand for; a token with any other character stands for its own UTF-8. */
export function bytesOfTokens(tokens: readonly string[]): Buffer {
  const pieces = tokens.map((token) => {
    const bytes = Buffer.allocUnsafe(token.length);
    for (let i = 0; i < token.length; i++) {
      const byte = byteOfCharacter.get(token[i]!);
      if (byte === undefined) return Buffer.from(token);
      bytes[i] = byte;
    }
    return bytes;
  });
  return Buffer.concat(pieces);
}
