/** @param asked called when the agent is asked; it answers at once */
export function instantAgent(asked = () => {}) {
  return {
    name: "bench",
    open: async () => "conversation",
    // As the services that are known here, so a turn is not written down once more before the agent is asked.
    recover: async () => "not-sent",
    async *ask() {
      asked();
      yield { type: "message", text: "ok" };
    },
  };
}

export const quiet = { info() {}, warn() {}, error() {} };
