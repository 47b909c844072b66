/** What is being written: the text and its draft, what it answers or changes, and that I am typing. */

import type { IrisClient, Message } from "@iris-im/sdk";
import { batch, computed, signal } from "@preact/signals-core";
import type { MentionsModel } from "./mentions.js";
import type { Ports } from "./ports.js";
import { errorText } from "./words.js";

const DRAFT_MS = 400;
const TYPING_MS = 4_000;
const IDLE_MS = 5_000;
const RESCUE = "draft/"; // written with every key: survives a tab that is killed before the profile has the draft

export class ComposerModel {
  readonly text = signal("");
  readonly reply = signal<Message | undefined>(undefined);
  readonly editing = signal<Message | undefined>(undefined);
  readonly failure = signal("");
  readonly canSend = computed(() => this.text.value.trim() !== "");
  /** Counts up when the view should put the cursor into the box. */
  readonly focused = signal(0);
  private beforeEdit = "";
  private typingAt = 0;
  private cancelIdle: () => void = () => {};
  private cancelDraft: (() => void) | undefined;
  private touched = false;

  constructor(
    private readonly client: IrisClient,
    readonly conversation: string,
    private readonly ports: Ports,
    readonly mentions: MentionsModel,
  ) {}

  /** Brings back what was typed and not sent. */
  async open(): Promise<void> {
    const rescued = this.ports.store.get(RESCUE + this.conversation);
    const draft = rescued ?? (await this.client.conversation(this.conversation)).draft;
    if (!this.touched) this.text.value = draft;
    if (rescued !== undefined) this.saveSoon();
  }

  type(text: string): void {
    this.touched = true;
    this.text.value = text;
    this.failure.value = "";
    if (this.editing.value === undefined) {
      if (text === "") this.ports.store.remove(RESCUE + this.conversation);
      else this.ports.store.set(RESCUE + this.conversation, text);
      this.saveSoon();
    }
    this.tellTyping(text.trim() !== "");
  }

  /** Puts the handle of somebody who is offered where the @ stands; returns where to go on writing. */
  mention(user?: string): number | undefined {
    const picked = this.mentions.pick(this.text.value, user);
    if (picked === undefined) return undefined;
    this.type(picked.text);
    return picked.cursor;
  }

  /** Sends or changes; the text is only cleared when the message is durable in the outbox. */
  async send(): Promise<void> {
    const typed = this.text.value;
    const body = typed.trim();
    if (body === "") return;
    const [editing, reply] = [this.editing.value, this.reply.value];
    this.tellTyping(false);
    try {
      if (editing !== undefined) {
        await this.client.edit(editing, { text: body, mentions: this.mentions.in(body) });
        this.cancel();
        return;
      }
      // Another press of Enter must not send the same words again while they are on their way into the outbox.
      batch(() => {
        this.text.value = "";
        this.reply.value = undefined;
      });
      this.cancelDraft?.();
      this.cancelDraft = undefined;
      const answers = reply === undefined ? {} : { reply: { sender: reply.sender, messageId: reply.messageId } };
      await this.client.send(this.conversation, { text: body, mentions: this.mentions.in(body), ...answers });
      if (this.text.value === "") {
        // The SDK clears a draft of the same words; an earlier one, of half of them, goes here.
        this.ports.store.remove(RESCUE + this.conversation);
        await this.client.setDraft(this.conversation, "");
      }
    } catch (error) {
      batch(() => {
        if (this.text.value === "") this.text.value = typed;
        if (editing === undefined) this.reply.value = reply;
        this.failure.value = errorText(error);
      });
    }
  }

  replyTo(message: Message): void {
    batch(() => {
      this.leaveEdit();
      this.reply.value = message;
      this.focused.value += 1;
    });
  }

  edit(message: Message): void {
    if (message.body.kind !== "text") return;
    const { text } = message.body;
    batch(() => {
      if (this.editing.value === undefined) this.beforeEdit = this.text.value;
      this.reply.value = undefined;
      this.editing.value = message;
      this.text.value = text;
      this.focused.value += 1;
    });
  }

  /** Neither answer nor change after all. */
  cancel(): void {
    batch(() => {
      this.leaveEdit();
      this.reply.value = undefined;
      this.failure.value = "";
    });
  }

  focus(): void {
    this.focused.value += 1;
  }

  /** The draft goes into the profile now. */
  async flush(): Promise<void> {
    this.cancelDraft?.();
    this.cancelDraft = undefined;
    const text = this.editing.value === undefined ? this.text.value : this.beforeEdit;
    await this.client.setDraft(this.conversation, text.trim() === "" ? "" : text);
    if (this.ports.store.get(RESCUE + this.conversation) === text) this.ports.store.remove(RESCUE + this.conversation);
  }

  async close(): Promise<void> {
    this.tellTyping(false);
    if (this.touched) await this.flush();
  }

  private leaveEdit(): void {
    if (this.editing.value === undefined) return;
    this.editing.value = undefined;
    this.text.value = this.beforeEdit;
    this.beforeEdit = "";
  }

  private saveSoon(): void {
    this.cancelDraft?.();
    this.cancelDraft = this.ports.later(DRAFT_MS, () => void this.flush());
  }

  private tellTyping(active: boolean): void {
    this.cancelIdle();
    const now = this.ports.now();
    if (!active) {
      if (this.typingAt > 0) this.client.setTyping(this.conversation, false);
      this.typingAt = 0;
      return;
    }
    if (now - this.typingAt >= TYPING_MS) {
      this.typingAt = now;
      this.client.setTyping(this.conversation, true);
    }
    this.cancelIdle = this.ports.later(IDLE_MS, () => this.tellTyping(false));
  }
}
