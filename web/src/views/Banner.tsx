/** One line about the connection, when there is something to tell. */

import { t } from "../i18n/index.js";
import type { SessionModel } from "../models/session.js";
import { Icon } from "./Icon.js";

export function Banner({ session }: { session: SessionModel }) {
  const { connection } = session;
  const banner = connection.banner.value;
  const waiting = connection.waiting.value;
  return (
    <div class="banner-place" role="status" aria-live="polite">
      {banner && (
        <div class={`banner ${banner.kind}`}>
          {banner.kind === "busy" ? <span class="spinner" aria-hidden="true" /> : <Icon name="offline" />}
          <span>
            {banner.text} {banner.kind !== "busy" && waiting > 0 && <b>{t("connection.waiting", { n: waiting })}</b>}
          </span>
          {banner.action === "now" && (
            <button type="button" class="link" onClick={() => connection.reconnect()}>
              {t("connection.now")}
            </button>
          )}
          {banner.action === "here" && (
            <button type="button" class="link" onClick={() => session.ports.reload()}>
              {t("connection.reconnect")}
            </button>
          )}
          {banner.action === "again" && (
            <button type="button" class="link" onClick={() => void session.logInAgain()}>
              {t("connection.again")}
            </button>
          )}
        </div>
      )}
      {session.gapAt.value > 0 && (
        <div class="banner closed">
          <Icon name="info" />
          <span>{t("chat.gap")}</span>
          <button
            type="button"
            class="link"
            onClick={() => {
              session.gapAt.value = 0;
            }}
          >
            {t("dialog.ok")}
          </button>
        </div>
      )}
    </div>
  );
}
