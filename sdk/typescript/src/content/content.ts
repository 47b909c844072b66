/** What is inside a message: the types that applications write and read. docs/protocol.md, Payload, says how it is carried. */

/** A person named in a text: `text.slice(start, start + length)` is the mention as written. In UTF-16 units. */
export interface Mention {
  readonly start: number;
  readonly length: number;
  readonly user: string;
}

/** A message of the same conversation. */
export interface Reference {
  readonly sender: string;
  readonly messageId: string;
}

/** What `IrisClient.send` takes beside a plain text. */
export interface TextContent {
  readonly text: string;
  readonly mentions?: readonly Mention[];
  /** The message that this one answers. */
  readonly reply?: Reference;
  /** The words are somebody else's. */
  readonly forwarded?: boolean;
}

/** What a message shows. */
export type Body =
  | {
      readonly kind: "text";
      readonly text: string;
      readonly mentions: readonly Mention[];
      readonly reply: Reference | undefined;
      readonly forwarded: boolean;
    }
  /** Its author has deleted it for everyone. */
  | { readonly kind: "deleted" }
  /** Of a later version: show a placeholder. The bytes are kept and are read again after an update. */
  | { readonly kind: "unknown" };

/** An emoji and who chose it, the earliest first. */
export interface Reaction {
  readonly emoji: string;
  readonly users: readonly string[];
}
