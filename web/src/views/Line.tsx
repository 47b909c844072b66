/** One conversation in the list, and one message that a search has found. */

import type { Conversation, Message } from "@iris-im/sdk";
import { number, t } from "../i18n/index.js";
import type { SessionModel } from "../models/session.js";
import { shortTime } from "../models/words.js";
import { Icon, Tick } from "./Icon.js";
import { mentions, preview, tickLabel } from "./messageText.js";
import { Avatar, IconButton } from "./parts.js";

interface LineProps {
  session: SessionModel;
  line: Conversation;
  stop: boolean;
  onMenu: (line: Conversation, at: DOMRect) => void;
}

export function Line({ session, line, stop, onMenu }: LineProps) {
  const { people, ports } = session;
  const now = ports.now();
  const selected = session.selected.value === line.conversation;
  const online = people.presence(line.peer)?.status === "online";
  const muted = line.mutedUntil > now;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: a right click opens the same menu as the button inside
    <div
      class="line-box"
      onContextMenu={(event) => {
        event.preventDefault();
        onMenu(line, new DOMRect(event.clientX, event.clientY, 0, 0));
      }}
    >
      <button
        type="button"
        class={selected ? "line selected" : "line"}
        tabIndex={stop ? 0 : -1}
        aria-current={selected ? "true" : undefined}
        onClick={() => session.openChat(line.conversation)}
      >
        <Avatar people={people} user={line.peer} online={online} />
        <span class="line-text">
          <span class="line-top">
            <span class="line-name" dir="auto">
              {people.nameOf(line.peer)}
            </span>
            {online && <span class="hidden">{t("chat.online")}</span>}
            {line.lastAt > 0 && (
              <time class={line.unread > 0 && !muted ? "fresh" : ""} dateTime={new Date(line.lastAt).toISOString()}>
                {shortTime(line.lastAt, now)}
              </time>
            )}
          </span>
          <span class="line-bottom">
            <LastLine session={session} line={line} selected={selected} />
            <Badges line={line} muted={muted} />
          </span>
        </span>
      </button>
      <IconButton
        icon="down"
        class="line-more"
        label={t("list.more")}
        aria-haspopup="menu"
        tabIndex={-1}
        onClick={(event) => onMenu(line, event.currentTarget.getBoundingClientRect())}
      />
    </div>
  );
}

/** Who types, else the draft, else what was last said. */
function LastLine({ session, line, selected }: { session: SessionModel; line: Conversation; selected: boolean }) {
  if (session.people.typing(line.conversation).length > 0)
    return <span class="line-last typing">{t("chat.typing")}</span>;
  const { last } = line;
  if (line.draft !== "" && !selected) {
    return (
      <span class="line-last">
        <span class="draft">{t("list.draft")}</span>{" "}
        <span class="clip" dir="auto">
          {line.draft}
        </span>
      </span>
    );
  }
  if (last === undefined) return <span class="line-last" />;
  return (
    <span class={last.body.kind === "text" ? "line-last" : "line-last faint"}>
      {last.own && <Tick state={last.state} label={tickLabel(last)} />}
      {mentions(last, session.user) && <span class="mentioned">{t("list.mentioned")}</span>}
      <span class="clip" dir="auto">
        {preview(last)}
      </span>
    </span>
  );
}

function Badges({ line, muted }: { line: Conversation; muted: boolean }) {
  return (
    <span class="badges">
      {muted && (
        <span role="img" aria-label={t("list.muted")} title={t("list.muted")}>
          <Icon name="mute" />
        </span>
      )}
      {line.pinned && line.unread === 0 && (
        <span role="img" aria-label={t("list.pinned")} title={t("list.pinned")}>
          <Icon name="pin" />
        </span>
      )}
      {line.unread > 0 && (
        <span class={muted ? "badge muted" : "badge"}>
          <span aria-hidden="true">{line.unread > 999 ? `${number(999)}+` : number(line.unread)}</span>
          <span class="hidden">{t("list.unread", { n: line.unread })}</span>
        </span>
      )}
    </span>
  );
}

export function ResultLine({ session, message, stop }: { session: SessionModel; message: Message; stop: boolean }) {
  const { people } = session;
  const peer = session.client.peerOf(message.conversation);
  return (
    <button
      type="button"
      class="line"
      tabIndex={stop ? 0 : -1}
      onClick={() => {
        session.openChat(message.conversation);
        void session.open.value?.chat.jumpTo(message);
      }}
    >
      <Avatar people={people} user={peer} />
      <span class="line-text">
        <span class="line-top">
          <span class="line-name" dir="auto">
            {people.nameOf(peer)}
          </span>
          <time>{shortTime(message.at, session.ports.now())}</time>
        </span>
        <span class="line-bottom">
          <span class="line-last">
            {message.own && <span>{t("list.you")}</span>}
            <span class="clip" dir="auto">
              {preview(message)}
            </span>
          </span>
        </span>
      </span>
    </button>
  );
}
