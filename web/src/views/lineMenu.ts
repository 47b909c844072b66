/** What can be done with a line of the list. */

import type { Conversation } from "@iris-im/sdk";
import { t } from "../i18n/index.js";
import type { SessionModel } from "../models/session.js";
import type { MenuItem } from "./parts.js";

export function lineMenu(session: SessionModel, line: Conversation): MenuItem[] {
  const { client } = session;
  const { conversation } = line;
  const muted = line.mutedUntil > session.ports.now();
  const attempt = (work: () => Promise<unknown>) => () => void session.attempt(work);
  return [
    ...(line.unread > 0
      ? [{ label: t("chat.markRead"), icon: "check" as const, action: attempt(() => client.markRead(conversation)) }]
      : []),
    {
      label: t(line.pinned ? "chat.unpin" : "chat.pin"),
      icon: "pin",
      action: attempt(() => client.pin(conversation, !line.pinned)),
    },
    muted
      ? { label: t("chat.unmute"), icon: "bell", action: attempt(() => client.mute(conversation, 0)) }
      : { label: t("chat.mute"), icon: "mute", action: () => session.dialog.show({ kind: "mute", conversation }) },
    {
      label: t(line.archived ? "chat.unarchive" : "chat.archive"),
      icon: "archive",
      action: attempt(() => client.archive(conversation, !line.archived)),
    },
  ];
}
