/** Register, log in, or log in with a link code. */

import { LANGUAGES, type Language, language, t } from "../i18n/index.js";
import type { AppModel } from "../models/app.js";
import type { AuthModel } from "../models/auth.js";
import { Field, Flower, IconButton } from "./parts.js";

const TITLES = { register: "auth.register.title", logIn: "auth.logIn.title", link: "auth.link.title" } as const;
const TEXTS = { register: "auth.register.text", logIn: "auth.logIn.text", link: "auth.link.text" } as const;
const BUTTONS = { register: "auth.register", logIn: "auth.logIn", link: "auth.link" } as const;

export function Auth({ auth, app, revoked }: { auth: AuthModel; app: AppModel; revoked: boolean }) {
  const mode = auth.mode.value;
  const registers = mode === "register";
  const links = mode === "link";
  const other = registers ? auth.kept?.handle : auth.otherProfile.value;
  const erase = async () => {
    if (await auth.erase()) await app.showAuth(false);
  };
  return (
    <main class="auth">
      <div class="auth-card">
        <div class="brand">
          <Flower />
          <span>{t("app.name")}</span>
        </div>
        <h1>{t(TITLES[mode])}</h1>
        <p class="lead">{revoked && !links ? t("auth.revoked") : t(TEXTS[mode])}</p>
        {auth.opened.value && (
          <p class="notice" role="status">
            {t("auth.link.opened", { handle: auth.opened.value })}
          </p>
        )}
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void auth.submit();
          }}
        >
          <Field
            label={t("auth.handle")}
            value={auth.handle.value}
            onText={(text) => {
              auth.handle.value = text;
            }}
            {...(registers ? { hint: t("auth.handle.hint") } : {})}
            autoComplete="username"
            prefix="@"
            latin
            required
            autoFocus
          />
          {registers && (
            <Field
              label={t("auth.name")}
              value={auth.name.value}
              onText={(text) => {
                auth.name.value = text;
              }}
              hint={t("auth.name.hint")}
              autoComplete="name"
            />
          )}
          {links && (
            <Field
              label={t("auth.code")}
              value={auth.code.value}
              onText={(text) => {
                auth.code.value = text;
              }}
              hint={t("auth.code.hint")}
              autoComplete="one-time-code"
              latin
              required
            />
          )}
          {!links && (
            <Field
              label={t("auth.password")}
              value={auth.password.value}
              onText={(text) => {
                auth.password.value = text;
              }}
              {...(registers ? { hint: t("auth.password.hint") } : {})}
              type={auth.shown.value ? "text" : "password"}
              autoComplete={registers ? "new-password" : "current-password"}
              latin
              required
            >
              <IconButton
                icon="eye"
                label={t(auth.shown.value ? "auth.password.hide" : "auth.password.show")}
                aria-pressed={auth.shown.value}
                onClick={() => {
                  auth.shown.value = !auth.shown.value;
                }}
              />
            </Field>
          )}
          {registers && auth.needsInvite.value && (
            <Field
              label={t("auth.invite")}
              value={auth.invite.value}
              onText={(text) => {
                auth.invite.value = text;
              }}
              hint={t("auth.invite.hint")}
              latin
              required
            />
          )}
          {auth.needsInvite.value && (
            <p class="hint">
              <a href="/hello">{t("auth.warning")}</a>
            </p>
          )}
          <p class="failure" role="alert">
            {auth.failure.value}
          </p>
          {other && (
            <div class="notice">
              <p>{t("auth.other", { handle: other })}</p>
              <button
                type="button"
                class="link danger"
                onClick={() => {
                  if (confirm(t("auth.erase.sure", { handle: other }))) void erase();
                }}
              >
                {t("auth.erase", { handle: other })}
              </button>
            </div>
          )}
          <button type="submit" class="button wide" disabled={auth.busy.value}>
            {auth.busy.value ? t("auth.busy") : t(BUTTONS[mode])}
          </button>
        </form>
        {!links && (
          <button type="button" class="link" onClick={() => auth.switchMode("link")}>
            {t("auth.toLink")}
          </button>
        )}
        {!auth.open.value && <p class="hint">{t("auth.closed")}</p>}
        {(links || auth.open.value) && (
          <button type="button" class="link" onClick={() => auth.switchMode(registers || links ? "logIn" : "register")}>
            {t(registers ? "auth.toLogIn" : links ? "auth.toPassword" : "auth.toRegister")}
          </button>
        )}
      </div>
      <nav class="languages" aria-label={t("look.language")}>
        {Object.entries(LANGUAGES).map(([code, { name }]) => (
          <button
            key={code}
            type="button"
            class="link"
            lang={code}
            aria-current={language.value === code ? "true" : undefined}
            onClick={() => app.preferences.setLanguage(code as Language)}
          >
            {name}
          </button>
        ))}
      </nav>
    </main>
  );
}
