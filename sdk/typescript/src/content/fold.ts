/**
 * From what was written in a conversation to what is shown: texts with their edits, deletions and reactions. Pure.
 *
 * What is shown depends on the set of rows only, never on the order in which they came:
 *
 * - Rows stand in the order (at, sender, message_id); those that wait in the outbox come last, in its order. That is also what
 *   "newer" means. Reactions, edits and deletions are not rows of the screen.
 * - An edit or a deletion counts only if its sender wrote the target; an edit only if the target is a text.
 * - A deletion is final: no edit or reaction shows through it.
 * - Of edits the newest counts, of reactions the newest of each person. An empty one counts as none.
 * - A row that was refused or has expired reached nobody: its action does not count.
 *
 * The twin of src/iris_sdk/core/conversation.py; both pass sdk/scenarios/content.
 */

import type { Action, Named, Ref, Said } from "./codec.js";

/** A row of a conversation. `state` is that of a message of mine, else "". */
export interface Written<S extends Said = Said> {
  readonly sender: string;
  readonly message_id: string;
  readonly at: number;
  readonly state: string;
  /** By `orderOf`. */
  readonly order: number;
  readonly said: S;
}

/** An emoji and who chose it, the first one first. */
export interface Reacted {
  readonly emoji: string;
  readonly users: readonly string[];
}

/** What a message says now. */
export interface Shown {
  readonly kind: "text" | "deleted" | "unknown";
  readonly body: string;
  readonly reply_to: Ref | undefined;
  readonly forwarded: boolean;
  readonly mentions: readonly Named[];
  readonly edited_at: number;
  readonly reactions: readonly Reacted[];
}

const NOTHING = { body: "", reply_to: undefined, forwarded: false, mentions: [], edited_at: 0, reactions: [] };

/** A message whose words are gone. */
export const DELETED: Shown = { ...NOTHING, kind: "deleted" };

const QUEUED = 2 ** 50; // above every time

/** What rows are sorted by first: `at`, or the place `n` in the outbox of what waits there, behind all others. */
export const orderOf = (state: string, at: number, n: number): number => (state === "queued" ? QUEUED + n : at);

/** The order of the screen. */
export function compareRows(one: Written, other: Written): number {
  if (one.order !== other.order) return one.order - other.order;
  if (one.sender !== other.sender) return one.sender < other.sender ? -1 : 1;
  return one.message_id < other.message_id ? -1 : one.message_id > other.message_id ? 1 : 0;
}

/** The message as it is shown; `actions` are those whose target it is, in any order and perhaps more than once. */
export function fold(row: Written, actions: Iterable<Written<Action>>): Shown {
  let edit: (Written & { said: Extract<Action, { kind: "edit" }> }) | undefined;
  const reactions = new Map<string, Written & { said: Extract<Action, { kind: "reaction" }> }>();
  for (const one of actions) {
    if (one.state === "refused" || one.state === "expired") continue;
    const { said } = one;
    if (said.kind === "reaction") {
      const known = reactions.get(one.sender);
      if (known === undefined || compareRows(one, known) > 0) reactions.set(one.sender, { ...one, said });
    } else if (one.sender === row.sender) {
      if (said.kind === "delete") return DELETED;
      if (edit === undefined || compareRows(one, edit) > 0) edit = { ...one, said };
    }
  }
  const shown = { ...NOTHING, reactions: gather(reactions.values()) };
  const { said } = row;
  if (said.kind !== "text") return { ...shown, kind: "unknown" };
  const { reply_to, forwarded } = said;
  const { body, mentions } = edit === undefined ? said : edit.said;
  return { ...shown, kind: "text", body, mentions, reply_to, forwarded, edited_at: edit === undefined ? 0 : edit.at };
}

function gather(reactions: Iterable<Written & { said: Extract<Action, { kind: "reaction" }> }>): Reacted[] {
  const byEmoji = new Map<string, string[]>();
  for (const { sender, said } of [...reactions].sort(compareRows)) {
    if (said.emoji === "") continue;
    const users = byEmoji.get(said.emoji);
    if (users === undefined) byEmoji.set(said.emoji, [sender]);
    else users.push(sender);
  }
  return [...byEmoji].map(([emoji, users]) => ({ emoji, users }));
}
