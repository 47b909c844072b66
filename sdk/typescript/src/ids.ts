/**
 * How ids are written: users as 26 letters (Crockford base32), conversations and messages in hex. The core and the profile
 * keep all of them in hex ("raw"). Both forms sort as the bytes do. Everything here is arithmetic.
 */

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const USER_TEXT = /^[0-7oil][0-9a-tv-z]{25}$/;
const HANDLE = /^[a-z][a-z0-9_.]{1,30}[a-z0-9]$/;
const USER_HEX = 32;
const VALUES = new Map([..."0123456789abcdefghjkmnpqrstvwxyz"].map((letter, value) => [letter, value]));
for (const [letter, value] of [
  ["o", 0],
  ["i", 1],
  ["l", 1],
] as const) {
  VALUES.set(letter, value);
}

export function toHex(bytes: Uint8Array): string {
  let hex = "";
  for (const byte of bytes) hex += (byte < 16 ? "0" : "") + byte.toString(16);
  return hex;
}

export function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** The text form of a user id in hex; "" for none. */
export function userText(raw: string): string {
  if (raw === "") return "";
  let number = BigInt(`0x${raw}`);
  let text = "";
  for (let i = 0; i < 26; i++) {
    text = ALPHABET[Number(number & 31n)] + text;
    number >>= 5n;
  }
  return text;
}

/** Whether `text` has the form of a user id (a handle starts with a letter, a user id never does). */
export const isUserText = (text: string): boolean => /^[0-7]/.test(text) && USER_TEXT.test(text.toLowerCase());

/** A user id in hex. Upper case is fine and o, i, l stand for 0, 1, 1. Throws RangeError. */
export function userRaw(text: string): string {
  const lower = text.toLowerCase();
  if (!USER_TEXT.test(lower)) throw new RangeError(`"${text}" is not a user id`);
  let number = 0n;
  for (const letter of lower) number = (number << 5n) | BigInt(VALUES.get(letter) ?? 0);
  return number.toString(16).padStart(USER_HEX, "0");
}

export const isConversation = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);
export const isMessageId = (text: string): boolean => /^[0-9a-f]{32}$/.test(text);

/** The conversation of two users, all in hex. */
export const directConversation = (one: string, other: string): string => (one < other ? one + other : other + one);

/** The other one in a direct conversation, in hex; "" when `user` is not in it or this version does not know such ones. */
export function peerOf(conversation: string, user: string): string {
  if (conversation.length !== 2 * USER_HEX) return "";
  const low = conversation.slice(0, USER_HEX);
  const high = conversation.slice(USER_HEX);
  return low === user ? high : high === user ? low : "";
}

/** A handle as the server spells it: lower case, no leading @; undefined when it cannot be one. */
export function normalHandle(text: string): string | undefined {
  const handle = text.replace(/^@/, "").toLowerCase();
  return HANDLE.test(handle) ? handle : undefined;
}
