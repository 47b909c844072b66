/**
 * Naming people in a text. `@handle` of somebody who is known here is a mention; while one is typed, people are offered.
 * Knows nothing of where the text stands.
 */

import type { Mention } from "@iris-im/sdk";
import { computed, signal } from "@preact/signals-core";
import type { PeopleModel } from "./people.js";
import { folded } from "./words.js";

const OFFERED_MAX = 6;
const KNOWN_MAX = 500; // people looked through: the other one, then those of the list, then contacts
const BEGUN = /(?:^|[^\p{L}\p{N}_@.])@([\p{L}\p{N}_.]{0,32})$/u;
const HANDLE = /(^|[^\p{L}\p{N}_@.])@([a-z][a-z0-9_.]{1,30}[a-z0-9])(?![\p{L}\p{N}_@])/giu;

export class MentionsModel {
  /** What is typed behind the @, and where the @ stands; undefined: nothing is offered. */
  private readonly begun = signal<{ readonly at: number; readonly query: string } | undefined>(undefined);
  /** Where the user has closed the offer with Escape. */
  private refused = -1;
  readonly active = signal(0);

  /** Users to pick from: of those whose handle or name begins with what is typed. */
  readonly offered = computed<readonly string[]>(() => {
    const begun = this.begun.value;
    if (begun === undefined) return [];
    const query = folded(begun.query);
    const found: string[] = [];
    for (const user of this.others()) {
      const handle = this.people.handleOf(user);
      const words = [handle, ...this.people.nameOf(user).split(/\s+/)];
      if (handle !== "" && words.some((word) => folded(word).startsWith(query))) found.push(user);
      if (found.length === OFFERED_MAX) break;
    }
    const [only] = found;
    const whole = found.length === 1 && only !== undefined && this.people.handleOf(only) === begun.query.toLowerCase();
    return whole ? [] : found; // nothing is left to pick: Enter sends
  });

  /** `known`: whom one may mean, the likeliest first. */
  constructor(
    readonly people: PeopleModel,
    private readonly known: () => Iterable<string>,
  ) {}

  /** The text or the cursor has changed. */
  look(text: string, cursor: number): void {
    const typed = BEGUN.exec(text.slice(0, cursor))?.[1];
    const at = typed === undefined ? -1 : cursor - typed.length - 1;
    if (at !== this.refused) this.refused = -1;
    if (typed === undefined || at === this.refused) {
      this.begun.value = undefined;
      return;
    }
    const before = this.begun.peek();
    if (before?.at === at && before.query === typed) return;
    this.begun.value = { at, query: typed };
    this.active.value = 0;
  }

  move(step: 1 | -1): void {
    const { length } = this.offered.value;
    if (length > 0) this.active.value = (this.active.value + step + length) % length;
  }

  /** Nobody after all. */
  close(): void {
    this.refused = this.begun.peek()?.at ?? -1;
    this.begun.value = undefined;
  }

  /** The text with the handle of `user` (the active one by default) in it, and where to go on; undefined: nothing is offered. */
  pick(text: string, user = this.offered.value[this.active.value]): { text: string; cursor: number } | undefined {
    const begun = this.begun.peek();
    if (begun === undefined || user === undefined) return undefined;
    const named = `${text.slice(0, begun.at)}@${this.people.handleOf(user)}`;
    const rest = text.slice(begun.at + 1 + begun.query.length);
    this.begun.value = undefined;
    const gap = rest.startsWith(" ") ? "" : " ";
    return { text: named + gap + rest, cursor: named.length + 1 };
  }

  /** Whom a text names. */
  in(text: string): Mention[] {
    if (!text.includes("@")) return [];
    const users = new Map<string, string>();
    for (const user of this.others()) {
      const handle = this.people.handleOf(user);
      if (handle !== "" && !users.has(handle)) users.set(handle, user);
    }
    const found: Mention[] = [];
    for (const { index, 1: before = "", 2: handle = "" } of text.matchAll(HANDLE)) {
      const user = users.get(handle.toLowerCase());
      if (user !== undefined) found.push({ start: index + before.length, length: handle.length + 1, user });
    }
    return found;
  }

  private *others(): Iterable<string> {
    const seen = new Set<string>([this.people.me]);
    let left = KNOWN_MAX;
    for (const user of this.known()) {
      if (seen.has(user)) continue;
      if (left-- === 0) return;
      seen.add(user);
      yield user;
    }
  }
}
