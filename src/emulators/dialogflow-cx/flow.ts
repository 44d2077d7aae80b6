/** The flow's pages by their short names. The ids are made up but look like the service's. */
const pageIds = {
  start: "START_PAGE",
  size: "5b1f7e0a-91f2-4c55-8f3c-0e6f3a1d7c01",
  topping: "a2c4d8e6-3b7f-4e19-b0d5-6f1e2c3d4b02",
  confirm: "e9d8c7b6-a5f4-4321-9c0b-1a2b3c4d5e03",
  end: "END_SESSION",
} as const;

export type PageName = keyof typeof pageIds;

const displayNames: Readonly<Record<PageName, string>> = {
  start: "Start Page",
  size: "Size",
  topping: "Topping",
  confirm: "Confirm",
  end: "End Session",
};

const flowId = "00000000-0000-0000-0000-000000000000";

/** The agent's only flow, as the service describes it. */
export function flowOf(agent: string): { readonly name: string; readonly displayName: string } {
  return { name: `${agent}/flows/${flowId}`, displayName: "Default Start Flow" };
}

/** A page, as the service describes it. */
export function pageOf(
  agent: string,
  page: PageName,
): { readonly name: string; readonly displayName: string } {
  return { name: `${agent}/flows/${flowId}/pages/${pageIds[page]}`, displayName: displayNames[page] };
}

export function displayNameOf(page: PageName): string {
  return displayNames[page];
}

/** The page with this resource name; undefined when the agent has none such. */
export function pageNamed(agent: string, name: string): PageName | undefined {
  const pages = Object.keys(pageIds) as PageName[];
  return pages.find((page) => page !== "end" && pageOf(agent, page).name === name);
}
