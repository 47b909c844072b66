/** The settings, in the left pane: a page with a list of pages, and the small ones. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { LANGUAGES, type Language, language, t } from "../i18n/index.js";
import type { SettingsPage } from "../models/route.js";
import type { SessionModel } from "../models/session.js";
import { Account, Devices, Privacy, Profile } from "./account.js";
import { Icon, type IconName } from "./Icon.js";
import { Avatar, Choice, IconButton, Switch } from "./parts.js";

const TITLES = {
  "": "settings.title",
  profile: "settings.profile",
  look: "settings.look",
  notifications: "settings.notifications",
  privacy: "settings.privacy",
  contacts: "settings.contacts",
  blocked: "settings.blocked",
  devices: "settings.devices",
  account: "settings.account",
  keys: "settings.keys",
} as const;

export function Settings({ session, page }: { session: SessionModel; page: SettingsPage }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const { settings } = session;
  useEffect(() => heading.current?.focus(), [page]);
  return (
    <section class="settings" aria-label={t(TITLES[page])}>
      <header class="bar">
        <IconButton icon="back" mirror label={t("settings.back")} onClick={() => session.back()} />
        <h1 ref={heading} tabIndex={-1}>
          {t(TITLES[page])}
        </h1>
      </header>
      <div class="settings-body">
        <Page session={session} page={page} />
        <p class="failure" role="alert">
          {settings.failure.value}
        </p>
        <p class="done" role="status">
          {settings.done.value}
        </p>
      </div>
    </section>
  );
}

function Page({ session, page }: { session: SessionModel; page: SettingsPage }): ComponentChildren {
  switch (page) {
    case "":
      return <Home session={session} />;
    case "profile":
      return <Profile session={session} />;
    case "look":
      return <Look session={session} />;
    case "notifications":
      return <Notifications session={session} />;
    case "privacy":
      return <Privacy session={session} />;
    case "contacts":
      return <Contacts session={session} />;
    case "blocked":
      return <Blocked session={session} />;
    case "devices":
      return <Devices session={session} />;
    case "account":
      return <Account session={session} />;
    case "keys":
      return <Keys />;
  }
}

const PAGES: readonly (readonly [Exclude<SettingsPage, "" | "profile">, IconName])[] = [
  ["look", "palette"],
  ["notifications", "bell"],
  ["privacy", "lock"],
  ["contacts", "people"],
  ["blocked", "block"],
  ["devices", "device"],
  ["account", "key"],
  ["keys", "keyboard"],
];

function Home({ session }: { session: SessionModel }) {
  const { people, client } = session;
  const logOut = async () => {
    const waiting = await client.waiting();
    const text = waiting > 0 ? t("settings.logOut.waiting", { n: waiting }) : t("settings.logOut.sure");
    session.dialog.confirm(text, t("settings.logOut"), () => void session.logOut(waiting > 0));
  };
  return (
    <>
      <button type="button" class="row me" onClick={() => session.go({ kind: "settings", page: "profile" })}>
        <Avatar people={people} user={session.user} large />
        <span class="row-text">
          <span class="me-name" dir="auto">
            {people.nameOf(session.user)}
          </span>
          <span class="hint">
            <bdi>@{people.handleOf(session.user)}</bdi>
          </span>
        </span>
      </button>
      <ul>
        {PAGES.map(([page, icon]) => (
          <li key={page}>
            <button type="button" class="row action" onClick={() => session.go({ kind: "settings", page })}>
              <Icon name={icon} />
              <span class="row-text">{t(TITLES[page])}</span>
              <Icon name="next" mirror />
            </button>
          </li>
        ))}
        <li>
          <button type="button" class="row action danger" onClick={() => void logOut()}>
            <Icon name="exit" mirror />
            <span class="row-text">{t("settings.logOut")}</span>
          </button>
        </li>
      </ul>
    </>
  );
}

function Look({ session }: { session: SessionModel }) {
  const { preferences } = session;
  return (
    <>
      <Choice
        legend={t("look.theme")}
        value={preferences.theme.value}
        options={[
          ["system", t("look.system")],
          ["light", t("look.light")],
          ["dark", t("look.dark")],
        ]}
        onChange={(theme) => preferences.setTheme(theme)}
      />
      <Choice<Language>
        legend={t("look.language")}
        value={language.value}
        options={Object.entries(LANGUAGES).map(([code, { name }]) => [code as Language, name])}
        onChange={(chosen) => preferences.setLanguage(chosen)}
      />
      <Switch
        label={t("look.enter")}
        text={t("look.enter.text")}
        on={preferences.enterSends.value}
        onChange={(on) => preferences.setEnterSends(on)}
      />
    </>
  );
}

function Notifications({ session }: { session: SessionModel }) {
  const { preferences } = session;
  const permission = preferences.permission.value;
  return (
    <>
      <Switch
        label={t("notify.on")}
        text={t("notify.text")}
        on={preferences.notify.value}
        disabled={permission === "unsupported"}
        onChange={(on) => void preferences.setNotify(on)}
      />
      <Switch
        label={t("notify.preview")}
        text={t("notify.preview.text")}
        on={preferences.preview.value}
        onChange={(on) => preferences.setPreview(on)}
      />
      {permission === "denied" && <p class="notice">{t("notify.denied")}</p>}
      {permission === "unsupported" && <p class="notice">{t("notify.unsupported")}</p>}
    </>
  );
}

function Contacts({ session }: { session: SessionModel }) {
  const { people } = session;
  const contacts = [...people.contacts.value.values()];
  if (contacts.length === 0) return <p class="hint lone">{t("contacts.none")}</p>;
  return (
    <ul class="people">
      {contacts.map(({ user }) => (
        <li key={user} class="person">
          <button
            type="button"
            class="row"
            title={t("contacts.message", { name: people.nameOf(user) })}
            onClick={() => session.writeTo(user)}
          >
            <Avatar people={people} user={user} />
            <span class="row-text">
              <span dir="auto">{people.nameOf(user)}</span>
              <span class="hint">
                <bdi>{people.handleOf(user) && `@${people.handleOf(user)}`}</bdi>
              </span>
            </span>
          </button>
          <IconButton
            icon="edit"
            label={t("info.rename")}
            onClick={() => session.dialog.show({ kind: "rename", user })}
          />
          <IconButton
            icon="trash"
            label={t("info.removeContact")}
            onClick={() => void session.attempt(() => people.removeContact(user))}
          />
        </li>
      ))}
    </ul>
  );
}

function Blocked({ session }: { session: SessionModel }) {
  const { people } = session;
  const blocked = [...people.blocks.value];
  if (blocked.length === 0) return <p class="hint lone">{t("blocked.none")}</p>;
  return (
    <ul class="people">
      {blocked.map((user) => (
        <li key={user} class="person">
          <div class="row">
            <Avatar people={people} user={user} />
            <span class="row-text">
              <span dir="auto">{people.nameOf(user)}</span>
            </span>
          </div>
          <button type="button" class="button quiet" onClick={() => void session.block(user, false)}>
            {t("info.unblock")}
          </button>
        </li>
      ))}
    </ul>
  );
}

const KEYS = [
  ["keys.search", "Ctrl K"],
  ["keys.new", "Alt N"],
  ["keys.nextChat", "Alt ↓ ↑"],
  ["keys.messages", "↑ ↓"],
  ["keys.actions", "Enter"],
  ["keys.mention", "@"],
  ["keys.edit", "↑"],
  ["keys.back", "Esc"],
] as const;

function Keys() {
  return (
    <dl class="keys">
      {KEYS.map(([key, pressed]) => (
        <div key={key} class="row">
          <dt class="row-text">{t(key)}</dt>
          <dd dir="ltr">
            {pressed.split(" ").map((one) => (
              <kbd key={one}>{one}</kbd>
            ))}
          </dd>
        </div>
      ))}
    </dl>
  );
}
