/** Keeps what is in sight where it is while messages come and go, and tells the model what is in sight. */

import type { ChatModel } from "../models/chat.js";

const EDGE_PX = 600; // so near an edge the next page is fetched
const END_PX = 48; // so near the end counts as at the end
const UNREAD_SHARE = 0.25; // of the height: where the unread marker stands when a conversation is opened

export class Scroll {
  private turn = 0;
  private anchor: { key: string; top: number } | undefined;
  private stuck: boolean;
  private frame = 0;
  private readonly watcher: ResizeObserver;

  constructor(
    private readonly box: HTMLElement,
    private readonly chat: ChatModel,
  ) {
    this.stuck = chat.atEnd.value;
    this.watcher = new ResizeObserver(() => {
      if (this.stuck) this.toEnd();
    });
    this.watcher.observe(box);
    const list = box.querySelector("ol");
    if (list !== null) this.watcher.observe(list);
  }

  end(): void {
    this.watcher.disconnect();
    cancelAnimationFrame(this.frame);
  }

  /** The messages were drawn anew. */
  changed(): void {
    if (!this.chat.loaded.value) return;
    const target = this.chat.target.value;
    if (target !== undefined && target.turn !== this.turn) {
      this.turn = target.turn;
      this.show(target.key);
    } else if (this.stuck && !this.chat.moreAfter.value) this.toEnd();
    else if (this.anchor !== undefined) {
      const element = this.find(this.anchor.key);
      if (element !== undefined) this.box.scrollTop += element.offsetTop - this.box.scrollTop - this.anchor.top;
    } else if (this.chat.atEnd.value) this.toEnd();
    this.lookSoon();
  }

  /** The user, or we, have scrolled. */
  scrolled(): void {
    this.lookSoon();
  }

  private lookSoon(): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.look());
  }

  private look(): void {
    const { box, chat } = this;
    if (!chat.loaded.value) return;
    const { scrollTop, clientHeight, scrollHeight } = box;
    const bottom = scrollTop + clientHeight;
    this.stuck = scrollHeight - bottom < END_PX;
    const rows = [...box.querySelectorAll<HTMLElement>("li[data-key]")];
    const first = rows.find((row) => row.offsetTop + row.offsetHeight > scrollTop);
    this.anchor = first && { key: first.dataset.key ?? "", top: first.offsetTop - scrollTop };
    chat.setAtEnd(this.stuck);
    const last = rows.findLast((row) => row.offsetTop + row.offsetHeight <= bottom + 8 && row.dataset.key !== "unread");
    if (last !== undefined) chat.seen(last.dataset.key ?? "");
    if (scrollTop < EDGE_PX) void chat.older();
    if (scrollHeight - bottom < EDGE_PX) void chat.newer();
  }

  private show(key: string): void {
    const { box, chat } = this;
    const marker =
      chat.unread.value?.before === key && chat.highlighted.value !== key ? this.find("unread") : undefined;
    const element = marker ?? this.find(key);
    if (element === undefined) return;
    const free = box.clientHeight - element.offsetHeight;
    if (chat.atEnd.value && marker === undefined) this.toEnd();
    else box.scrollTop = element.offsetTop - (marker === undefined ? free / 2 : free * UNREAD_SHARE);
    this.stuck = box.scrollHeight - box.scrollTop - box.clientHeight < END_PX;
  }

  private toEnd(): void {
    this.box.scrollTop = this.box.scrollHeight;
    this.stuck = true;
  }

  private find(key: string): HTMLElement | undefined {
    return this.box.querySelector<HTMLElement>(`li[data-key="${CSS.escape(key)}"]`) ?? undefined;
  }
}
