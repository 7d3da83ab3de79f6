const CHANNELS = { web: "Website", phone: "Telephone", email: "E-mail" };
const trim = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
function transform(event, context) {
  const { dueUs, sessionId, userId, message, entities = [] } = event.data;
  if (message.type === "heartbeat") return context.drop("a heartbeat");
  const [topic, action] = event.event.split(".");
  context.setHeader("X-Topic", topic);
  const { channel = "web", ...more } = message.metadata;
  const found = entities.filter((entity) => entity.confidence > 0.8).map(({ name, value }) => `${name}=${value}`);
  return {
    dueUs,
    ticket: { key: `${sessionId}:${event.id}`, channel: CHANNELS[channel] ?? "Other" },
    kind: action,
    at: new Date(event.timestamp).toISOString(),
    contact: { id: userId, known: !/^anon(ymous)?-/i.test(userId) },
    text: trim(message.text.trim(), 300),
    tags: [...new Set([topic, action, ...found])].sort(),
    more,
  };
}
