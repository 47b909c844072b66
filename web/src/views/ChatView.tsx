/** The right pane: one conversation. */

import { t } from "../i18n/index.js";
import type { OpenChat, SessionModel } from "../models/session.js";
import { longTime } from "../models/words.js";
import { Composer } from "./Composer.js";
import { InfoPanel } from "./InfoPanel.js";
import { Messages } from "./Messages.js";
import { Avatar, IconButton } from "./parts.js";

interface Props {
  session: SessionModel;
  open: OpenChat;
}

export function ChatView({ session, open, info }: Props & { info: boolean }) {
  const { chat, composer } = open;
  const { people } = session;
  const blocked = people.blocks.value.has(chat.peer);
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    const text = event.dataTransfer?.getData("text/plain") ?? "";
    if (text !== "") composer.type(composer.text.value + text);
    else if ((event.dataTransfer?.files.length ?? 0) > 0) session.dialog.tell(t("write.files"));
    composer.focus();
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: text may be dropped anywhere on the chat; the box below takes it by keyboard
    <section class="chat" onDragOver={(event) => event.preventDefault()} onDrop={onDrop}>
      <Header session={session} open={open} />
      {chat.searchOpen.value && <ChatSearch open={open} />}
      <Messages session={session} open={open} />
      {blocked ? (
        <div class="blocked-bar">
          <p>{t("chat.blocked", { name: people.nameOf(chat.peer) })}</p>
          <button type="button" class="button quiet" onClick={() => void session.block(chat.peer, false)}>
            {t("info.unblock")}
          </button>
        </div>
      ) : (
        <Composer session={session} open={open} />
      )}
      {info && <InfoPanel session={session} user={chat.peer} conversation={chat.conversation} />}
    </section>
  );
}

function Header({ session, open }: Props) {
  const { chat } = open;
  const { people } = session;
  const name = people.nameOf(chat.peer);
  return (
    <header class="bar chat-bar">
      <IconButton icon="back" mirror class="only-narrow" label={t("chat.back")} onClick={() => session.back()} />
      <h1 class="who-heading">
        <button type="button" class="who" title={t("chat.info", { name })} onClick={() => session.showInfo(true)}>
          <Avatar people={people} user={chat.peer} />
          <span class="who-text">
            <span class="who-name" dir="auto">
              {name}
            </span>
            <Presence session={session} open={open} />
          </span>
        </button>
      </h1>
      <IconButton
        icon="search"
        label={t("chat.search")}
        aria-expanded={chat.searchOpen.value}
        onClick={() => {
          chat.searchOpen.value = !chat.searchOpen.value;
        }}
      />
    </header>
  );
}

/** Typing, online, last seen; nothing when it is not told. */
function Presence({ session, open }: Props) {
  const { people } = session;
  const presence = people.presence(open.chat.peer);
  if (people.typing(open.chat.conversation).length > 0) return <span class="presence typing">{t("chat.typing")}</span>;
  if (presence?.status === "online") return <span class="presence">{t("chat.online")}</span>;
  if (presence?.status === "offline" && presence.lastSeen > 0) {
    return (
      <span class="presence">{t("chat.lastSeen", { when: longTime(presence.lastSeen, session.ports.now()) })}</span>
    );
  }
  const handle = people.handleOf(open.chat.peer);
  return <span class="presence">{handle === "" ? "" : <bdi>@{handle}</bdi>}</span>;
}

function ChatSearch({ open }: { open: OpenChat }) {
  const { chat } = open;
  const [results, at] = [chat.results.value.length, chat.result.value];
  return (
    <search class="chat-search">
      <input
        type="search"
        dir={chat.query.value === "" ? undefined : "auto"}
        ref={(input) => {
          if (input !== null && chat.query.value === "") input.focus();
        }}
        value={chat.query.value}
        aria-label={t("chat.search")}
        placeholder={t("chat.search")}
        onInput={(event) => chat.search(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") void chat.showResult(at + (event.shiftKey ? -1 : 1));
          if (event.key === "Escape") {
            event.preventDefault();
            chat.closeSearch();
          }
        }}
      />
      <span class="hint" role="status">
        {chat.query.value.trim() === ""
          ? ""
          : results === 0
            ? t("chat.search.none")
            : t("chat.search.count", { n: results })}
      </span>
      <IconButton
        icon="up"
        label={t("chat.search.before")}
        disabled={at + 1 >= results}
        onClick={() => void chat.showResult(at + 1)}
      />
      <IconButton
        icon="down"
        label={t("chat.search.after")}
        disabled={at <= 0}
        onClick={() => void chat.showResult(at - 1)}
      />
      <IconButton icon="close" label={t("chat.search.close")} onClick={() => chat.closeSearch()} />
    </search>
  );
}
