/** Tells of new messages while the page is not in front, and counts unread chats in the page's title. */

import type { Conversation, Message } from "@iris-im/sdk";
import { t } from "../i18n/index.js";
import type { ListModel } from "./list.js";
import type { PeopleModel } from "./people.js";
import type { Ports } from "./ports.js";
import type { PreferencesModel } from "./preferences.js";

const FRESH_MS = 60_000; // older ones come from catching up: the list tells of them
const BODY_MAX = 200;

export class Notifier {
  constructor(
    private readonly list: ListModel,
    private readonly people: PeopleModel,
    private readonly preferences: PreferencesModel,
    private readonly ports: Ports,
  ) {}

  onMessages(conversation: string, added: readonly Message[]): void {
    if (!this.preferences.notify.value || this.ports.inFront()) return;
    const now = this.ports.now();
    const news = added.filter((one) => !one.own && now - one.at < FRESH_MS && one.body.kind === "text");
    const last = news.at(-1);
    if (last === undefined || muted(this.list.line(conversation), now)) return;
    const body = last.body.kind === "text" && this.preferences.preview.value ? last.body.text : t("notify.new");
    this.ports.notices.show({
      title: this.people.nameOf(last.sender),
      body: body.slice(0, BODY_MAX),
      tag: conversation,
      path: `/chat/${conversation}`,
    });
  }

  title(): string {
    const unread = this.list.unread.value;
    return unread > 0 ? `(${unread}) ${t("app.name")}` : t("app.name");
  }
}

function muted(line: Conversation | undefined, now: number): boolean {
  return line !== undefined && line.mutedUntil > now;
}
