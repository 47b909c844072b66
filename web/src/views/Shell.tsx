/** The two panes (one on a phone), the line about the connection, the dialogs, and the keys that work everywhere. */

import { useEffect } from "preact/hooks";
import { t } from "../i18n/index.js";
import type { SessionModel } from "../models/session.js";
import { ChatView } from "./ChatView.js";
import { Dialogs } from "./Dialogs.js";
import { ListView } from "./ListView.js";
import { Empty } from "./parts.js";
import { Settings } from "./Settings.js";

export function Shell({ session }: { session: SessionModel }) {
  const route = session.route.value;
  const open = session.open.value;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => onKey(session, event);
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [session]);
  const kind = route.kind;
  useEffect(() => {
    // What had the focus is gone with the chat: the list takes it, so that the keyboard goes on from there.
    if (kind === "list" && (document.activeElement === document.body || document.activeElement === null)) {
      document.querySelector<HTMLElement>(".list-pane [data-row] button[tabindex='0']")?.focus();
    }
  }, [kind]);
  return (
    <main class="shell" data-pane={route.kind === "chat" ? "main" : "side"}>
      <div class="side">
        {route.kind === "settings" ? <Settings session={session} page={route.page} /> : <ListView session={session} />}
      </div>
      <div class="main">
        {open === undefined ? (
          <Empty title={t("chat.pick")} text={t("chat.pick.text")}>
            <button type="button" class="button" onClick={() => session.dialog.show({ kind: "newChat" })}>
              {t("list.new")}
            </button>
          </Empty>
        ) : (
          <ChatView
            key={open.chat.conversation}
            session={session}
            open={open}
            info={route.kind === "chat" && route.info}
          />
        )}
      </div>
      <Dialogs session={session} />
      <div class={session.dialog.note.value === "" ? "note" : "note shown"} role="status">
        {session.dialog.note.value}
      </div>
    </main>
  );
}

/** Control and K searches, Alt and N begins a chat, Alt with up and down changes it, Escape goes back. */
function onKey(session: SessionModel, event: KeyboardEvent): void {
  if (session.dialog.open.value !== undefined || event.defaultPrevented) return;
  const key = event.key.toLowerCase();
  if ((event.ctrlKey || event.metaKey) && key === "k") {
    event.preventDefault();
    if (session.route.value.kind === "settings") session.back();
    requestAnimationFrame(() => document.getElementById("search")?.focus());
  } else if (event.altKey && key === "n") {
    event.preventDefault();
    session.dialog.show({ kind: "newChat" });
  } else if (event.altKey && (key === "arrowdown" || key === "arrowup")) {
    event.preventDefault();
    const next = session.list.neighbour(session.selected.value, key === "arrowdown" ? 1 : -1);
    if (next !== undefined) session.openChat(next);
  } else if (key === "escape") {
    if (session.route.value.kind === "chat" && session.route.value.info) session.showInfo(false);
    else if (session.open.value?.chat.searchOpen.value) session.open.value.chat.closeSearch();
    else session.back();
  }
}
