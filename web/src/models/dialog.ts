/** The one dialog that may be open, and the short notes at the edge of the screen. */

import type { Mention, Message } from "@iris-im/sdk";
import { signal } from "@preact/signals-core";
import type { Ports } from "./ports.js";

const NOTE_MS = 4_000;

export type Dialog =
  | { readonly kind: "newChat" }
  | { readonly kind: "forward"; readonly text: string; readonly mentions: readonly Mention[] }
  | { readonly kind: "mute"; readonly conversation: string }
  | { readonly kind: "react"; readonly message: Message }
  | { readonly kind: "rename"; readonly user: string }
  | {
      readonly kind: "confirm";
      readonly text: string;
      readonly yes: string;
      readonly danger: boolean;
      readonly action: () => void;
    };

export class DialogModel {
  readonly open = signal<Dialog | undefined>(undefined);
  readonly note = signal("");
  private cancelNote: () => void = () => {};

  constructor(private readonly ports: Ports) {}

  show(dialog: Dialog): void {
    this.open.value = dialog;
  }

  close(): void {
    this.open.value = undefined;
  }

  /** Ask before something that cannot be undone. */
  confirm(text: string, yes: string, action: () => void): void {
    this.show({ kind: "confirm", text, yes, danger: true, action });
  }

  tell(text: string): void {
    this.note.value = text;
    this.cancelNote();
    this.cancelNote = this.ports.later(NOTE_MS, () => {
      this.note.value = "";
    });
  }
}
