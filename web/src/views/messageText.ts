/** A message in one line, and what its tick says. */

import type { Message } from "@iris-im/sdk";
import { hasText, t } from "../i18n/index.js";
import { refusalText } from "../models/words.js";

export function preview(message: Message): string {
  if (message.body.kind === "text") return message.body.text;
  return t(message.body.kind === "deleted" ? "message.deleted" : "message.unknown");
}

/** Whether somebody else names this user in it. */
export function mentions({ own, body }: Message, user: string): boolean {
  return !own && body.kind === "text" && body.mentions.some((one) => one.user === user);
}

export function tickLabel(message: Message): string {
  if (message.state === "refused") return refusalText(message.code);
  const key = `state.${message.state}`;
  return hasText(key) ? t(key) : "";
}
