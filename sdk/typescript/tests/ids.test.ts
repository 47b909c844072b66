/** Ids as docs/protocol.md writes them. */

import { expect, it } from "vitest";
import { directConversation, fromHex, isUserText, normalHandle, peerOf, toHex, userRaw, userText } from "../src/ids.js";

const ADA = "00000a0a0a0a0a0a0a0a0a0a0a0a0a0a";
const BOB = "00000b0b0b0b0b0b0b0b0b0b0b0b0b0b";

it("a user has a text form and it is read in any case", () => {
  expect(userText(ADA)).toBe("000050m2ga1850m2ga1850m2ga");
  expect(userRaw("000050m2ga1850m2ga1850m2ga")).toBe(ADA);
  expect(userRaw("OOOO5OM2GAI85OM2GAL85OM2GA")).toBe(ADA);
  expect(userRaw(userText("f".repeat(32)))).toBe("f".repeat(32));
  expect(userText("")).toBe("");
});

it.each([
  "",
  "ada",
  "000050m2ga1850m2ga1850m2g",
  "u00050m2ga1850m2ga1850m2ga",
  "8".repeat(26),
  "0000 0m2ga1850m2ga1850m2ga",
])("%j is no user id", (text) => {
  expect(() => userRaw(text)).toThrow(RangeError);
  expect(isUserText(text)).toBe(false);
});

it("a conversation is the lower user, then the higher one", () => {
  expect(directConversation(BOB, ADA)).toBe(ADA + BOB);
  expect(peerOf(ADA + BOB, BOB)).toBe(ADA);
  expect(peerOf(ADA + BOB, ADA)).toBe(BOB);
  expect(peerOf(ADA + BOB, "c".repeat(32))).toBe("");
  expect(peerOf("aa", ADA)).toBe("");
});

it("hex and bytes", () => {
  expect(toHex(new Uint8Array([0, 1, 254]))).toBe("0001fe");
  expect([...fromHex("0001fe")]).toEqual([0, 1, 254]);
});

it("handles are spelled as the server spells them", () => {
  expect(normalHandle("@Ada.L")).toBe("ada.l");
  for (const text of ["ab", "1ada", "ada-l", "ada.", "x".repeat(33)]) expect(normalHandle(text)).toBeUndefined();
});
