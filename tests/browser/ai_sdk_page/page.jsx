// A small chat page on the AI SDK, as its documentation shows one whose answers can be taken up.

import { useChat } from "@ai-sdk/react";
import { DefaultChatTransport } from "ai";
import { useState } from "react";
import { createRoot } from "react-dom/client";

const id = new URLSearchParams(location.search).get("chat");
const path = `/api/chat/${encodeURIComponent(id)}`;

function Chat({ stored }) {
  const [input, setInput] = useState("");
  const { messages, sendMessage, status, error } = useChat({
    id,
    messages: stored,
    resume: true,
    transport: new DefaultChatTransport({ api: "/api/chat" }),
  });
  const send = (event) => {
    event.preventDefault();
    sendMessage({ text: input });
    setInput("");
  };
  return (
    <main>
      <output aria-label="status">{error ? `error: ${error.message}` : status}</output>
      {messages.map((message) => (
        <article key={message.id} aria-label={message.role}>
          {message.parts.filter((part) => part.type === "text").map((part, index) => <p key={index}>{part.text}</p>)}
        </article>
      ))}
      <form onSubmit={send}>
        <input aria-label="message" value={input} onChange={(event) => setInput(event.target.value)} />
        <button>Send</button>
      </form>
      <button onClick={() => fetch(`${path}/stop`, { method: "POST" })}>Stop</button>
    </main>
  );
}

const { items } = await (await fetch(`${path}/messages`)).json();
createRoot(document.getElementById("page")).render(<Chat stored={items} />);
