/** About the person of a conversation. */

import { t } from "../i18n/index.js";
import type { SessionModel } from "../models/session.js";
import { Icon, type IconName } from "./Icon.js";
import { lineMenu } from "./lineMenu.js";
import { Avatar, IconButton } from "./parts.js";

export function InfoPanel({
  session,
  user,
  conversation,
}: {
  session: SessionModel;
  user: string;
  conversation: string;
}) {
  const { people, dialog } = session;
  const name = people.nameOf(user);
  const handle = people.handleOf(user);
  const contact = people.contacts.value.has(user);
  const blocked = people.blocks.value.has(user);
  const line = session.list.line(conversation);
  const block = () => {
    if (blocked) void session.block(user, false);
    else
      dialog.confirm(t("info.block.sure", { name }), t("info.block"), () => {
        session.showInfo(false);
        void session.block(user, true);
      });
  };
  return (
    <aside class="info" aria-label={t("info.title")}>
      <header class="bar">
        <IconButton icon="close" label={t("dialog.close")} onClick={() => session.showInfo(false)} />
        <h2>{t("info.title")}</h2>
      </header>
      <div class="info-body">
        <Avatar people={people} user={user} large />
        <p class="info-name" dir="auto">
          {name}
        </p>
        {handle !== "" && (
          <p class="info-handle">
            <bdi>@{handle}</bdi>
            <IconButton
              icon="copy"
              label={t("profile.copy")}
              onClick={() => void session.attempt(() => session.ports.copy(`@${handle}`), t("profile.copied"))}
            />
          </p>
        )}
        <div class="info-actions">
          {contact ? (
            <>
              <Action icon="edit" label={t("info.rename")} onClick={() => dialog.show({ kind: "rename", user })} />
              <Action
                icon="person"
                label={t("info.removeContact")}
                onClick={() => void session.attempt(() => people.removeContact(user))}
              />
            </>
          ) : (
            <Action
              icon="person"
              label={t("info.addContact")}
              onClick={() => void session.attempt(() => people.addContact(user, ""))}
            />
          )}
          {line &&
            lineMenu(session, line).map((item) => (
              <Action key={item.label} icon={item.icon} label={item.label} onClick={item.action} />
            ))}
          <Action icon="block" label={t(blocked ? "info.unblock" : "info.block")} danger={!blocked} onClick={block} />
        </div>
      </div>
    </aside>
  );
}

function Action({
  icon,
  label,
  danger = false,
  onClick,
}: {
  icon: IconName;
  label: string;
  danger?: boolean;
  onClick: () => void;
}) {
  return (
    <button type="button" class={danger ? "row action danger" : "row action"} onClick={onClick}>
      <Icon name={icon} />
      <span class="row-text">{label}</span>
    </button>
  );
}
