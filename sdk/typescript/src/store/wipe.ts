/**
 * Deleted words leave the profile. The row stays with its id, its place and its state, so that order, receipts and the taking of
 * repeats stay what they are.
 *
 * Wiped are: a message that was deleted for me; one whose author's deletion the server has, or has brought; the edits of either.
 * What waits in the outbox keeps its words until it is answered: they are still to be sent.
 */

import { decodeContent } from "../content/codec.js";
import type { Id } from "../core/frames.js";
import type { HistoryRow } from "./schema.js";
import type { Work } from "./work.js";

const NOT_COUNTED: readonly string[] = ["queued", "refused", "expired"];

/** A row is new, was hidden, or has left the outbox: what must go now? */
export async function wipeDeleted(work: Work, row: HistoryRow): Promise<void> {
  if (row.state === "queued" || row.kind === "gap") return;
  if (row.target !== undefined) await afterAction(work, row, row.target);
  else if (row.hidden !== undefined || (row.acted !== undefined && (await isDeleted(work, row)))) await wipe(work, row);
}

/** Everything that an older version kept. */
export async function wipeOldDeletions(work: Work): Promise<void> {
  const history = work.tx.objectStore("history");
  for (let at = await history.openCursor(); at !== null; at = await at.continue()) {
    const { value } = at;
    if (value.hidden === undefined && value.target === undefined) continue;
    for (const row of work.known([value])) await wipeDeleted(work, row);
  }
}

async function afterAction(work: Work, row: HistoryRow, of: string): Promise<void> {
  const [sender, message_id] = of.split("/") as [Id, Id];
  if (sender !== row.sender) return; // an edit or a deletion counts only by the author
  const target = await work.row(sender, message_id);
  if (target?.conversation !== row.conversation || target.target !== undefined) return;
  const { kind } = decodeContent(row);
  if (kind === "edit" && target.wiped !== undefined) clear(work, row);
  else if (kind === "delete" && !NOT_COUNTED.includes(row.state) && target.state !== "queued") await wipe(work, target);
}

async function isDeleted(work: Work, row: HistoryRow): Promise<boolean> {
  const counts = (one: HistoryRow) =>
    one.sender === row.sender && !NOT_COUNTED.includes(one.state) && decodeContent(one).kind === "delete";
  return (await work.actionsOn(row)).some(counts);
}

async function wipe(work: Work, row: HistoryRow): Promise<void> {
  if (row.wiped !== undefined) return;
  clear(work, row);
  if (row.acted === undefined) return;
  for (const one of await work.actionsOn(row)) {
    const edits = one.sender === row.sender && one.state !== "queued" && decodeContent(one).kind === "edit";
    if (edits) clear(work, one);
  }
}

function clear(work: Work, row: HistoryRow): void {
  row.payload = new Uint8Array(0);
  row.wiped = 1;
  work.put(row);
}
