/** Where one writes. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n/index.js";
import type { OpenChat, SessionModel } from "../models/session.js";
import { EmojiPicker } from "./EmojiPicker.js";
import { Icon } from "./Icon.js";
import { MENTIONS_ID, MentionList, optionId } from "./MentionList.js";
import { preview } from "./messageText.js";
import { IconButton } from "./parts.js";

const HEIGHT_MAX = 180;

interface Props {
  session: SessionModel;
  open: OpenChat;
}

export function Composer({ session, open }: Props) {
  const { chat, composer } = open;
  const box = useRef<HTMLTextAreaElement>(null);
  const caret = useRef<number | undefined>(undefined); // where it goes with the next text; a frame later somebody may have typed on
  const [picking, setPicking] = useState(false);
  const text = composer.text.value;
  const editing = composer.editing.value !== undefined;
  const focused = composer.focused.value;
  const name = session.people.nameOf(chat.peer);

  useLayoutEffect(() => {
    const area = box.current;
    if (area === null) return;
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, HEIGHT_MAX)}px`;
    if (caret.current !== undefined) area.setSelectionRange(caret.current, caret.current);
    caret.current = undefined;
  }, [text]);
  useEffect(() => {
    const area = box.current;
    // On a phone the keyboard would cover what was just opened.
    if (area === null || (focused === 1 && matchMedia("(pointer: coarse)").matches)) return;
    if (focused > 0) {
      area.focus({ preventScroll: true });
      area.setSelectionRange(area.value.length, area.value.length);
    }
  }, [focused]);

  const insert = (emoji: string) => {
    const area = box.current;
    if (area === null) return;
    const [from, to] = [area.selectionStart, area.selectionEnd];
    caret.current = from + emoji.length;
    composer.type(text.slice(0, from) + emoji + text.slice(to));
  };
  const offered = composer.mentions.offered.value;
  const mention = (user?: string) => {
    const cursor = composer.mention(user);
    const area = box.current;
    if (cursor === undefined || area === null) return;
    area.focus();
    caret.current = cursor;
  };
  const look = (area: HTMLTextAreaElement) => composer.mentions.look(area.value, area.selectionEnd);
  const picks = (event: KeyboardEvent): boolean => {
    if (offered.length === 0 || event.isComposing) return false;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      composer.mentions.move(event.key === "ArrowDown" ? 1 : -1);
    } else if ((event.key === "Enter" && !event.shiftKey) || (event.key === "Tab" && !event.shiftKey)) {
      mention();
    } else if (event.key === "Escape") composer.mentions.close();
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  };
  const pressed = (event: KeyboardEvent) => {
    if (picks(event)) return;
    const sends = session.preferences.enterSends.value ? !event.shiftKey : event.ctrlKey || event.metaKey;
    if (event.key === "Enter" && sends && !event.isComposing) {
      event.preventDefault();
      void composer.send();
    } else if (event.key === "ArrowUp" && text === "" && !event.altKey) {
      const last = chat.lastOwn();
      if (last === undefined) return;
      event.preventDefault();
      composer.edit(last);
    } else if (event.key === "Escape" && (editing || composer.reply.value !== undefined || picking)) {
      event.preventDefault();
      if (picking) setPicking(false);
      else composer.cancel();
    }
  };
  const pasted = (event: ClipboardEvent) => {
    const data = event.clipboardData;
    if (data !== null && data.files.length > 0 && data.getData("text/plain") === "") {
      event.preventDefault();
      session.dialog.tell(t("write.files"));
    }
  };
  return (
    <footer class="composer">
      <Context session={session} open={open} />
      {composer.failure.value !== "" && (
        <p class="failure" role="alert">
          {composer.failure.value}
        </p>
      )}
      {picking && (
        <EmojiPicker
          onPick={insert}
          onClose={() => {
            setPicking(false);
            box.current?.focus();
          }}
        />
      )}
      <MentionList composer={composer} onPick={mention} />
      <div class="composer-row">
        <IconButton
          icon="smile"
          class="emoji-button"
          label={t("write.emoji")}
          aria-expanded={picking}
          onClick={() => setPicking(!picking)}
        />
        <textarea
          ref={box}
          rows={1}
          dir={text === "" ? undefined : "auto"}
          value={text}
          placeholder={t("write.placeholder")}
          aria-label={t("write.label", { name })}
          aria-autocomplete="list"
          aria-haspopup="listbox"
          aria-controls={offered.length > 0 ? MENTIONS_ID : undefined}
          aria-activedescendant={
            offered.length > 0 ? optionId(offered[composer.mentions.active.value] ?? "") : undefined
          }
          enterkeyhint={session.preferences.enterSends.value ? "send" : "enter"}
          onInput={(event) => {
            composer.type(event.currentTarget.value);
            look(event.currentTarget);
          }}
          onSelect={(event) => look(event.currentTarget)}
          onBlur={() => composer.mentions.look("", 0)}
          onKeyDown={pressed}
          onPaste={pasted}
        />
        <IconButton
          icon={editing ? "check" : "send"}
          mirror={!editing}
          class="send"
          label={t(editing ? "write.save" : "write.send")}
          disabled={!composer.canSend.value}
          onClick={() => {
            void composer.send();
            box.current?.focus();
          }}
        />
      </div>
    </footer>
  );
}

/** What the text answers or changes. */
function Context({ session, open }: Props) {
  const { composer } = open;
  const [reply, editing] = [composer.reply.value, composer.editing.value];
  const about = editing ?? reply;
  if (about === undefined) return null;
  return (
    <div class="context">
      <Icon name={editing ? "edit" : "reply"} mirror={!editing} />
      <span class="context-text">
        <span class="quote-name" dir="auto">
          {editing ? t("write.editing") : t("write.replyTo", { name: session.people.nameOf(about.sender) })}
        </span>
        <span class="quote-text" dir="auto">
          {preview(about)}
        </span>
      </span>
      <IconButton icon="close" label={t("write.cancel")} onClick={() => composer.cancel()} />
    </div>
  );
}
