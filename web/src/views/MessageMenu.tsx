/** What can be done with a message: quick reactions on top, then the rest. */

import type { Message } from "@iris-im/sdk";
import { t } from "../i18n/index.js";
import { QUICK } from "../models/emoji.js";
import type { OpenChat, SessionModel } from "../models/session.js";
import { Icon } from "./Icon.js";
import { Menu, type MenuItem } from "./parts.js";

interface Props {
  session: SessionModel;
  open: OpenChat;
  message: Message;
  at: DOMRect;
  onClose: () => void;
}

export function MessageMenu({ session, open, message, at, onClose }: Props) {
  const mine = message.reactions.find((one) => one.users.includes(session.user))?.emoji;
  const reactable = message.body.kind !== "deleted" && !["queued", "refused", "expired"].includes(message.state);
  return (
    <Menu at={at} label={t("message.actions")} items={itemsOf(session, open, message)} onClose={onClose}>
      {reactable && (
        <div class="menu-row">
          {QUICK.map((emoji) => (
            <button
              key={emoji}
              type="button"
              role="menuitemcheckbox"
              aria-checked={mine === emoji}
              aria-label={t("message.reactWith", { emoji })}
              onClick={() => {
                onClose();
                void session.attempt(() => session.client.react(message, mine === emoji ? "" : emoji));
              }}
            >
              {emoji}
            </button>
          ))}
          <button
            type="button"
            role="menuitem"
            class="more-emoji"
            aria-label={t("message.reactMore")}
            title={t("message.reactMore")}
            onClick={() => {
              onClose();
              session.dialog.show({ kind: "react", message });
            }}
          >
            <Icon name="smile" />
          </button>
        </div>
      )}
    </Menu>
  );
}

function itemsOf(session: SessionModel, open: OpenChat, message: Message): MenuItem[] {
  const { client, dialog } = session;
  const { body } = message;
  const deleteForMe: MenuItem = {
    label: t("message.deleteForMe"),
    icon: "trash",
    danger: true,
    action: () => void session.attempt(() => client.deleteForMe(message)),
  };
  if (body.kind !== "text") return [deleteForMe];
  const { text, mentions } = body;
  const failed = message.state === "refused" || message.state === "expired";
  const items: MenuItem[] = [];
  if (failed) {
    items.push({
      label: t("message.again"),
      icon: "again",
      action: () => void session.attempt(() => client.sendAgain(message)),
    });
  } else {
    items.push({ label: t("message.reply"), icon: "reply", action: () => open.composer.replyTo(message) });
  }
  items.push(
    { label: t("message.copy"), icon: "copy", action: () => void session.copy(message) },
    { label: t("message.forward"), icon: "forward", action: () => dialog.show({ kind: "forward", text, mentions }) },
  );
  if (message.own && !failed) {
    items.push({ label: t("message.edit"), icon: "edit", action: () => open.composer.edit(message) });
  }
  items.push(deleteForMe);
  if (message.own && !failed) {
    items.push({
      label: t("message.deleteForAll"),
      icon: "trash",
      danger: true,
      action: () => void session.attempt(() => client.deleteForEveryone(message)),
    });
  }
  return items;
}
