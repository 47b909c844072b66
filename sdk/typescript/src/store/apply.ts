/** What each of the core's writes does to the profile's tables. All writes of one commit are one transaction. */

import type { SaveMessage, Write } from "../core/effects.js";
import type { Id } from "../core/frames.js";
import { fromHex } from "../ids.js";
import type { HistoryRow } from "./schema.js";
import { wipeDeleted } from "./wipe.js";
import type { Work } from "./work.js";

/** One commit of the core. */
export async function applyWrites(work: Work, writes: readonly Write[]): Promise<void> {
  await prefetch(work, writes);
  const answered = new Set<Id>(); // conversations whose outbox may have become shorter
  for (const write of writes) await applyOne(work, write, answered);
  for (const conversation of answered) await trim(work, conversation);
}

async function prefetch(work: Work, writes: readonly Write[]): Promise<void> {
  const rows: [Id, Id][] = [];
  const conversations: Id[] = [];
  for (const write of writes) {
    if ("save_message" in write) {
      rows.push([write.save_message.sender, write.save_message.message_id]);
      conversations.push(write.save_message.conversation);
    } else if ("save_answer" in write) {
      rows.push([work.user, write.save_answer.message_id]);
      conversations.push(write.save_answer.conversation);
    }
  }
  await work.prefetch(rows, conversations);
}

async function applyOne(work: Work, write: Write, answered: Set<Id>): Promise<void> {
  if ("save_message" in write) await saveMessage(work, write.save_message);
  else if ("save_answer" in write) await saveAnswer(work, write.save_answer, answered);
  else if ("save_stream" in write) await saveStream(work, write.save_stream);
  else if ("save_cursor" in write) work.setMeta(write.save_cursor);
  else if ("save_receipt" in write) await saveReceipt(work, write.save_receipt);
  else if ("save_read" in write) await saveRead(work, write.save_read);
  else if ("drop_read_wanted" in write) await dropReadWanted(work, write.drop_read_wanted.conversation);
  else if ("save_gap" in write) await saveGap(work, write.save_gap.at);
  else await expire(work, write.expire.before_at);
}

async function saveMessage(work: Work, given: SaveMessage): Promise<void> {
  const { own, conversation, sender, device, message_id, at, content_type, alg } = given;
  const seq = own ? given.peer_seq : given.seq;
  const state = own ? await work.stateAt(conversation, seq) : "";
  const known = await work.row(sender, message_id);
  if (known === undefined) {
    const kind = own ? "own" : "message";
    const payload = fromHex(given.payload);
    const made = {
      kind,
      conversation,
      sender,
      device,
      message_id,
      seq,
      at,
      state,
      payload,
      content_type,
      alg,
    } as const;
    const row = await work.insert(made);
    if (row !== undefined) await wipeDeleted(work, row);
  } else if (own) {
    await settle(work, known, state, seq, at, 0);
  } else {
    return;
  }
  await work.seen(conversation, at);
}

async function saveAnswer(
  work: Work,
  answer: { message_id: Id; conversation: Id; seq: number; at: number; code: number },
  answered: Set<Id>,
): Promise<void> {
  const { message_id, conversation, seq, at, code } = answer;
  if (await work.answered(message_id)) answered.add(conversation);
  const known = await work.row(work.user, message_id);
  if (known === undefined) return;
  if (code !== 0) {
    if (known.state === "queued") await settle(work, known, "refused", 0, known.at, code);
    return;
  }
  await settle(work, known, await work.stateAt(conversation, seq), seq, at, 0);
  await work.seen(conversation, at);
}

/** The server has answered a message of mine. Words that were only kept to be sent may go now. */
async function settle(work: Work, row: HistoryRow, state: string, seq: number, at: number, code: number) {
  const waited = row.state === "queued";
  work.change(row, state, seq, at, code);
  if (waited) await wipeDeleted(work, row);
}

async function saveStream(work: Work, write: { conversation: Id; stream: number }): Promise<void> {
  await work.dropAnswered(write.conversation, Number.MAX_SAFE_INTEGER);
  const row = await work.conversation(write.conversation);
  row.stream = write.stream;
  row.base = 1;
  work.save(row);
}

/** Answered rows before the first unanswered one leave; the others keep their places. */
async function trim(work: Work, conversation: Id): Promise<void> {
  const first = await work.firstUnanswered(conversation);
  const gone = await work.dropAnswered(conversation, first ?? Number.MAX_SAFE_INTEGER);
  if (gone === 0) return;
  const row = await work.conversation(conversation);
  row.base += gone;
  work.save(row);
}

async function saveReceipt(work: Work, receipt: { conversation: Id; delivered: number; read: number }): Promise<void> {
  const row = await work.conversation(receipt.conversation);
  row.delivered = Math.max(row.delivered, receipt.delivered);
  row.peer_read = Math.max(row.peer_read, receipt.read);
  work.save(row);
  const upto = Math.max(receipt.delivered, receipt.read);
  const accepted = await awaitingUpTo(work, receipt.conversation, "accepted", upto);
  const delivered = await awaitingUpTo(work, receipt.conversation, "delivered", receipt.read);
  for (const one of [...accepted, ...delivered]) {
    work.change(one, one.seq <= receipt.read ? "read" : "delivered", one.seq, one.at, 0);
  }
}

async function awaitingUpTo(work: Work, conversation: Id, state: string, upto: number): Promise<HistoryRow[]> {
  const range = IDBKeyRange.bound([conversation, state, 0], [conversation, state, upto]);
  return work.known(await work.tx.objectStore("history").index("awaits").getAll(range));
}

async function saveRead(work: Work, { conversation, seq }: { conversation: Id; seq: number }): Promise<void> {
  const row = await work.conversation(conversation);
  if (row.read_wanted <= Math.max(row.read, seq)) row.read_wanted = 0;
  if (seq > row.read) {
    row.read = seq;
    work.touch(row);
  } else {
    work.save(row);
  }
}

async function dropReadWanted(work: Work, conversation: Id): Promise<void> {
  const row = await work.conversation(conversation);
  row.read_wanted = 0;
  work.touch(row);
}

async function saveGap(work: Work, at: number): Promise<void> {
  const message_id = (work.position + 1).toString(16).padStart(32, "0");
  const payload = new Uint8Array(0);
  const nothing = { conversation: "", sender: "", device: 0, seq: 0, state: "", content_type: 0, alg: 0 };
  await work.insert({ ...nothing, kind: "gap", message_id, at, payload });
}

async function expire(work: Work, beforeAt: number): Promise<void> {
  const range = IDBKeyRange.bound(["accepted", 0], ["accepted", beforeAt], false, true);
  const found = await work.tx.objectStore("history").index("expiry").getAll(range);
  for (const row of work.known(found)) work.change(row, "expired", row.seq, row.at, 0);
}
