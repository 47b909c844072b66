/** The list of conversations: its order, the archive, the search over names and over messages. */

import type { Conversation, IrisClient, Message } from "@iris-im/sdk";
import { batch, computed, signal } from "@preact/signals-core";
import type { PeopleModel } from "./people.js";
import type { Ports } from "./ports.js";
import { folded } from "./words.js";

const SEARCH_WAIT_MS = 200;
const RESULTS_MAX = 50;
export const LINES_MAX = 5_000; // the last of the list go; they are there again when something is said, or when they are looked for

export class ListModel {
  /** By conversation, as last told. */
  private readonly lines = signal<ReadonlyMap<string, Conversation>>(new Map());
  readonly loaded = signal(false);
  readonly archiveOpen = signal(false);
  readonly query = signal("");
  readonly found = signal<readonly Message[]>([]);
  readonly searching = signal(false);
  private pending = new Map<string, Conversation>();
  private cancelSearch: () => void = () => {};
  private cancelFlush: (() => void) | undefined;

  /** Those in which something was said or begun: a read position from another device alone is no line. */
  readonly all = computed(() => [...this.lines.value.values()].filter(hasWords).sort(byPlace));
  readonly archived = computed(() => this.all.value.filter((line) => line.archived));
  readonly archivedUnread = computed(() =>
    this.archived.value.reduce((sum, line) => sum + (line.unread > 0 ? 1 : 0), 0),
  );
  /** What the list shows. */
  readonly shown = computed(() => {
    const query = folded(this.query.value.trim());
    if (query !== "") {
      return this.all.value.filter(
        (line) =>
          folded(this.people.nameOf(line.peer)).includes(query) ||
          `@${this.people.handleOf(line.peer)}`.includes(query),
      );
    }
    return this.all.value.filter((line) => line.archived === this.archiveOpen.value);
  });
  /** Conversations with something unread that are not muted: the number in the page's title. */
  readonly unread = computed(() => {
    const now = this.ports.now();
    return this.all.value.filter((line) => line.unread > 0 && line.mutedUntil <= now).length;
  });

  constructor(
    private readonly client: IrisClient,
    private readonly people: PeopleModel,
    private readonly ports: Ports,
  ) {}

  async start(): Promise<void> {
    const lines = await this.client.conversations();
    batch(() => {
      // What was told while the list was read is newer.
      this.set(new Map([...lines.map((line) => [line.conversation, line] as const), ...this.lines.value]));
      this.loaded.value = true;
    });
  }

  line(conversation: string): Conversation | undefined {
    return this.lines.value.get(conversation);
  }

  /** A line has changed. Many that come at once (catching up) are shown together. */
  onConversation(line: Conversation): void {
    this.pending.set(line.conversation, line);
    this.cancelFlush ??= this.ports.later(30, () => this.flush());
  }

  flush(): void {
    this.cancelFlush?.();
    this.cancelFlush = undefined;
    if (this.pending.size === 0) return;
    const next = new Map(this.lines.value);
    for (const [conversation, line] of this.pending) next.set(conversation, line);
    this.pending = new Map();
    this.set(next);
  }

  private set(lines: ReadonlyMap<string, Conversation>): void {
    const kept = lines.size <= LINES_MAX ? [...lines.values()] : [...lines.values()].sort(byPlace).slice(0, LINES_MAX);
    this.lines.value = new Map(kept.map((line) => [line.conversation, line]));
  }

  /** Shows names at once and, a moment after the last letter, the messages that hold the words. */
  search(text: string): void {
    this.query.value = text;
    this.cancelSearch();
    if (text.trim() === "") {
      this.found.value = [];
      this.searching.value = false;
      return;
    }
    this.searching.value = true;
    this.cancelSearch = this.ports.later(SEARCH_WAIT_MS, () => void this.searchMessages(text));
  }

  private async searchMessages(text: string): Promise<void> {
    const found = await this.client.search(text, { limit: RESULTS_MAX });
    if (this.query.value !== text) return; // written on meanwhile
    batch(() => {
      this.found.value = found;
      this.searching.value = false;
    });
  }

  /** The next or earlier conversation of what is shown. */
  neighbour(of: string | undefined, step: 1 | -1): string | undefined {
    const shown = this.shown.value;
    const at = shown.findIndex((line) => line.conversation === of);
    return (at < 0 ? shown[step > 0 ? 0 : shown.length - 1] : shown[at + step])?.conversation;
  }
}

function hasWords({ last, draft }: Conversation): boolean {
  return last !== undefined || draft !== "";
}

/** Pinned first, then the newest, by what was last said; a draft alone counts as old. */
function byPlace(one: Conversation, other: Conversation): number {
  if (one.pinned !== other.pinned) return one.pinned ? -1 : 1;
  if (one.lastAt !== other.lastAt) return other.lastAt - one.lastAt;
  return one.conversation < other.conversation ? -1 : 1;
}
