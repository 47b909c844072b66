/** The settings that live on the server: profile, privacy, devices, password and account. */

import type { Privacy as PrivacyChoice } from "@iris-im/sdk";
import { useEffect, useState } from "preact/hooks";
import { t } from "../i18n/index.js";
import type { SessionModel } from "../models/session.js";
import { longTime } from "../models/words.js";
import { Icon } from "./Icon.js";
import { LinkDevice } from "./LinkDevice.js";
import { Avatar, Choice, Field, IconButton, Switch } from "./parts.js";

interface Props {
  session: SessionModel;
}

export function Profile({ session }: Props) {
  const { settings, people, client } = session;
  const me = settings.me.value;
  const [name, setName] = useState<string | undefined>();
  const [handle, setHandle] = useState<string | undefined>();
  useEffect(() => void settings.loadMe(), [settings]);
  const shown = { name: name ?? me?.name ?? "", handle: handle ?? me?.handle ?? client.handle };
  return (
    <form
      class="profile"
      onSubmit={(event) => {
        event.preventDefault();
        void settings.saveNames(shown.name, shown.handle);
      }}
    >
      <Avatar people={people} user={session.user} large />
      <Field label={t("profile.name")} value={shown.name} onText={setName} />
      <Field
        label={t("profile.handle")}
        value={shown.handle}
        onText={setHandle}
        hint={t("profile.share")}
        prefix="@"
        latin
      >
        <IconButton
          icon="copy"
          label={t("profile.copy")}
          onClick={() => void session.attempt(() => session.ports.copy(`@${shown.handle}`), t("profile.copied"))}
        />
      </Field>
      <button
        type="submit"
        class="button wide"
        disabled={settings.busy.value || me === undefined || (shown.name === me.name && shown.handle === me.handle)}
      >
        {t("write.save")}
      </button>
    </form>
  );
}

export function Privacy({ session }: Props) {
  const { settings } = session;
  useEffect(() => void settings.loadMe(), [settings]);
  const privacy = settings.me.value?.privacy;
  const everyone = ["everyone", t("privacy.everyone")] as const;
  const contacts = ["contacts", t("privacy.contacts")] as const;
  return (
    <>
      <Choice<PrivacyChoice["presence"]>
        legend={t("privacy.presence")}
        value={privacy?.presence}
        disabled={privacy === undefined}
        options={[everyone, contacts, ["nobody", t("privacy.nobody")]]}
        onChange={(presence) => void settings.setPrivacy({ presence })}
      />
      <Choice<PrivacyChoice["messages"]>
        legend={t("privacy.messages")}
        value={privacy?.messages}
        disabled={privacy === undefined}
        options={[everyone, contacts]}
        onChange={(messages) => void settings.setPrivacy({ messages })}
      />
      <Switch
        label={t("privacy.receipts")}
        text={t("privacy.receipts.text")}
        on={privacy?.readReceipts ?? true}
        disabled={privacy === undefined}
        onChange={(readReceipts) => void settings.setPrivacy({ readReceipts })}
      />
    </>
  );
}

export function Devices({ session }: Props) {
  const { settings, dialog, ports } = session;
  useEffect(() => void settings.loadDevices(), [settings]);
  const devices = settings.devices.value ?? [];
  const now = ports.now();
  const unlink = (device: number, name: string) =>
    dialog.confirm(t("devices.unlink.sure", { name }), t("devices.unlink"), () => void settings.unlink(device));
  return (
    <>
      <ul class="people">
        {devices.map((one) => (
          <li key={one.device} class="person">
            <div class="row">
              <span class="device-icon">
                <Icon name="device" />
              </span>
              <span class="row-text">
                <span dir="auto">{one.name}</span>
                <span class="hint">
                  {one.current
                    ? t("devices.current")
                    : one.online
                      ? t("devices.online")
                      : t("devices.seen", { when: longTime(one.seenAt, now) })}
                  {" · "}
                  {t("devices.linked", { when: longTime(one.linkedAt, now) })}
                </span>
              </span>
            </div>
            {!one.current && (
              <button type="button" class="button quiet" onClick={() => unlink(one.device, one.name)}>
                {t("devices.unlink")}
              </button>
            )}
          </li>
        ))}
      </ul>
      {devices.length > 1 && (
        <button
          type="button"
          class="row action danger"
          onClick={() =>
            dialog.confirm(t("devices.others.sure"), t("devices.others"), () => void settings.unlinkOthers())
          }
        >
          <Icon name="exit" mirror />
          <span class="row-text">{t("devices.others")}</span>
        </button>
      )}
      <LinkDevice session={session} />
    </>
  );
}

export function Account({ session }: Props) {
  const { settings, dialog } = session;
  const [old, setOld] = useState("");
  const [next, setNext] = useState("");
  const [proof, setProof] = useState("");
  const change = async () => {
    if (await settings.changePassword(old, next)) {
      setOld("");
      setNext("");
    }
  };
  const remove = async () => {
    if (await settings.deleteAccount(proof)) await session.logOut(true);
  };
  return (
    <>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void change();
        }}
      >
        <input
          type="text"
          class="hidden"
          autocomplete="username"
          value={session.client.handle}
          readOnly
          tabIndex={-1}
          aria-hidden="true"
        />
        <Field
          label={t("account.old")}
          value={old}
          onText={setOld}
          type="password"
          autoComplete="current-password"
          latin
          required
        />
        <Field
          label={t("account.new")}
          value={next}
          onText={setNext}
          type="password"
          autoComplete="new-password"
          hint={t("auth.password.hint")}
          latin
          required
        />
        <button type="submit" class="button wide" disabled={settings.busy.value || old === "" || next.length < 8}>
          {t("account.change")}
        </button>
      </form>
      <form
        class="notice danger"
        onSubmit={(event) => {
          event.preventDefault();
          dialog.confirm(t("account.delete.text"), t("account.delete"), () => void remove());
        }}
      >
        <h2>{t("account.delete")}</h2>
        <p>{t("account.delete.text")}</p>
        <Field
          label={t("account.password")}
          value={proof}
          onText={setProof}
          type="password"
          autoComplete="current-password"
          latin
          required
        />
        <button type="submit" class="button danger wide" disabled={settings.busy.value || proof === ""}>
          {t("account.delete")}
        </button>
      </form>
    </>
  );
}
