/** The device screen's part that lets a new device in: a QR code, the code to type, and what became of it. */

import { useEffect } from "preact/hooks";
import { t } from "../i18n/index.js";
import type { SessionModel } from "../models/session.js";
import { countdown } from "../models/words.js";
import { Qr } from "./Qr.js";

export function LinkDevice({ session }: { session: SessionModel }) {
  const { linking, ports } = session;
  const shown = linking.shown.value;
  useEffect(() => () => linking.stop(), [linking]);
  return (
    <section class="notice linking" aria-labelledby="linking">
      <h2 id="linking">{t("devices.link")}</h2>
      {shown === undefined ? (
        <p>{t("devices.link.text")}</p>
      ) : (
        <>
          <Qr text={shown.link} label={t("link.qr")} />
          <p class="link-code" dir="ltr">
            <span class="hidden">{t("link.code")}</span>
            <strong>{shown.code}</strong>
          </p>
          <p>{t("link.text", { address: ports.origin, handle: session.client.handle })}</p>
          <p class="hint" role="timer">
            {t("link.ends", { time: countdown(linking.secondsLeft.value) })}
          </p>
          <p class="hint">{t("link.secret")}</p>
        </>
      )}
      <p role="status" class="done">
        {linking.linked.value.length > 0 &&
          t("link.done", { name: linking.linked.value.map((one) => one.name).join(", ") })}
        {linking.over.value && t("link.over")}
      </p>
      <p class="failure" role="alert">
        {linking.failure.value}
      </p>
      {shown === undefined ? (
        <button type="button" class="button wide" disabled={linking.busy.value} onClick={() => void linking.start()}>
          {t("link.show")}
        </button>
      ) : (
        <button type="button" class="button quiet wide" onClick={() => linking.stop()}>
          {t("link.hide")}
        </button>
      )}
    </section>
  );
}
