/** The dialogs: new chat, forward, mute, rename, and the question before what cannot be undone. */

import { useState } from "preact/hooks";
import { t } from "../i18n/index.js";
import type { Dialog } from "../models/dialog.js";
import type { SessionModel } from "../models/session.js";
import { folded } from "../models/words.js";
import { EmojiPicker } from "./EmojiPicker.js";
import { Avatar, Field, Modal } from "./parts.js";

const HOUR_MS = 3_600_000;

export function Dialogs({ session }: { session: SessionModel }) {
  const dialog = session.dialog.open.value;
  const close = () => session.dialog.close();
  if (dialog === undefined) return null;
  if (dialog.kind === "newChat") return <NewChat session={session} />;
  if (dialog.kind === "forward") return <Forward session={session} said={dialog} />;
  if (dialog.kind === "rename") return <Rename session={session} user={dialog.user} />;
  if (dialog.kind === "react") {
    return (
      <Modal title={t("message.react")} onClose={close}>
        <EmojiPicker
          onClose={close}
          onPick={(emoji) => {
            close();
            void session.attempt(() => session.client.react(dialog.message, emoji));
          }}
        />
      </Modal>
    );
  }
  if (dialog.kind === "mute") {
    const mute = (until: number) => {
      close();
      void session.attempt(() => session.client.mute(dialog.conversation, until));
    };
    const now = session.ports.now();
    return (
      <Modal title={t("mute.title")} onClose={close} small>
        <div class="stack">
          <button type="button" class="button quiet wide" onClick={() => mute(now + 8 * HOUR_MS)}>
            {t("mute.8h")}
          </button>
          <button type="button" class="button quiet wide" onClick={() => mute(now + 7 * 24 * HOUR_MS)}>
            {t("mute.week")}
          </button>
          <button type="button" class="button quiet wide" onClick={() => mute(Number.POSITIVE_INFINITY)}>
            {t("mute.always")}
          </button>
        </div>
      </Modal>
    );
  }
  return (
    <Modal title={dialog.yes} onClose={close} small>
      <p>{dialog.text}</p>
      <div class="buttons">
        <button type="button" class="button quiet" onClick={close}>
          {t("dialog.cancel")}
        </button>
        <button
          type="button"
          class={dialog.danger ? "button danger" : "button"}
          onClick={() => {
            close();
            dialog.action();
          }}
        >
          {dialog.yes}
        </button>
      </div>
    </Modal>
  );
}

function NewChat({ session }: { session: SessionModel }) {
  const [handle, setHandle] = useState("");
  const [failure, setFailure] = useState("");
  const [busy, setBusy] = useState(false);
  const { people } = session;
  const contacts = [...people.contacts.value.values()];
  const start = async () => {
    setBusy(true);
    setFailure(await session.startChat(handle));
    setBusy(false);
  };
  return (
    <Modal title={t("new.title")} onClose={() => session.dialog.close()}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (handle.trim() !== "") void start();
        }}
      >
        <Field
          label={t("new.handle")}
          value={handle}
          onText={setHandle}
          hint={t("new.hint")}
          prefix="@"
          latin
          autoFocus
        />
        <p class="failure" role="alert">
          {failure}
        </p>
        <button type="submit" class="button wide" disabled={busy || handle.trim() === ""}>
          {t("new.start")}
        </button>
      </form>
      <h3>{t("new.contacts")}</h3>
      {contacts.length === 0 ? (
        <p class="hint">{t("new.none")}</p>
      ) : (
        <People session={session} users={contacts.map((one) => one.user)} onPick={(user) => session.writeTo(user)} />
      )}
    </Modal>
  );
}

function Forward({ session, said }: { session: SessionModel; said: Extract<Dialog, { kind: "forward" }> }) {
  const [filter, setFilter] = useState("");
  const { people, list } = session;
  const users = [...new Set([...list.all.value.map((line) => line.peer), ...people.contacts.value.keys()])];
  const wanted = folded(filter.trim());
  const shown = users.filter(
    (user) => folded(people.nameOf(user)).includes(wanted) || `@${people.handleOf(user)}`.includes(wanted),
  );
  return (
    <Modal title={t("forward.title")} onClose={() => session.dialog.close()}>
      <blockquote dir="auto">{said.text}</blockquote>
      <Field label={t("forward.filter")} value={filter} onText={setFilter} autoFocus />
      <People
        session={session}
        users={shown}
        onPick={(user) => void session.forward(said, session.client.conversationWith(user))}
      />
    </Modal>
  );
}

function Rename({ session, user }: { session: SessionModel; user: string }) {
  const [name, setName] = useState(session.people.contacts.value.get(user)?.name ?? "");
  return (
    <Modal title={t("info.rename")} onClose={() => session.dialog.close()} small>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          session.dialog.close();
          void session.attempt(() => session.people.addContact(user, name.trim()), t("settings.saved"));
        }}
      >
        <Field label={t("info.contactName")} value={name} onText={setName} autoFocus />
        <button type="submit" class="button wide">
          {t("dialog.ok")}
        </button>
      </form>
    </Modal>
  );
}

function People({
  session,
  users,
  onPick,
}: {
  session: SessionModel;
  users: readonly string[];
  onPick: (user: string) => void;
}) {
  const { people } = session;
  return (
    <ul class="people">
      {users.map((user) => (
        <li key={user}>
          <button type="button" class="row" onClick={() => onPick(user)}>
            <Avatar people={people} user={user} />
            <span class="row-text">
              <span dir="auto">{people.nameOf(user)}</span>
              <span class="hint">
                <bdi>{people.handleOf(user) && `@${people.handleOf(user)}`}</bdi>
              </span>
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}
