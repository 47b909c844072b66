/** The whole page by its phase. */

import "@preact/signals";
import { t } from "../i18n/index.js";
import type { AppModel } from "../models/app.js";
import { Auth } from "./Auth.js";
import { Flower } from "./parts.js";
import { Shell } from "./Shell.js";

export function App({ app }: { app: AppModel }) {
  const phase = app.phase.value;
  return (
    <>
      {phase.kind === "starting" && (
        <main class="start" aria-busy="true">
          <Flower />
          <p>{t("app.starting")}</p>
        </main>
      )}
      {phase.kind === "failed" && (
        <main class="start">
          <Flower />
          <h1>{t("app.failed")}</h1>
          <p>{t("app.failed.text", { reason: phase.reason })}</p>
          <button type="button" class="button" onClick={() => app.ports.reload()}>
            {t("app.tryAgain")}
          </button>
        </main>
      )}
      {phase.kind === "out" && <Auth auth={phase.auth} app={app} revoked={phase.revoked} />}
      {phase.kind === "in" && <Shell session={phase.session} />}
      {app.updateReady.value && (
        <div class="update" role="status">
          {t("update.ready")}
          <button type="button" class="link" onClick={() => app.ports.reload()}>
            {t("update.use")}
          </button>
        </div>
      )}
    </>
  );
}
