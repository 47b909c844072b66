/** What numbers say: positions of a mailbox, close codes. */

import { CLOSES } from "../catalogue.js";

const LOST_WITHOUT_CODE = 1006;

/** How many rows lie behind one and up to another, at most. 0 over epochs: seq is epoch << 32 | counter, and each counts anew. */
export const rowsBetween = (one: number, other: number): number =>
  Math.floor(one / 2 ** 32) === Math.floor(other / 2 ** 32) ? Math.max(0, other - one) : 0;

/** What a close code asks for (yes, backoff, after_refresh, no) and its name. */
export function reconnectOf(code: number | undefined): [string, string] {
  if (code === undefined || code === LOST_WITHOUT_CODE) return ["yes", ""];
  const info = CLOSES.get(code);
  if (info !== undefined) return [info.reconnect, info.name];
  return [code >= 4500 && code <= 4999 ? "no" : "backoff", String(code)]; // of a later version: its range says it
}
