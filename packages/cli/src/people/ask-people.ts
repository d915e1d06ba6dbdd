import type { HrImported, Orphan, PersonDetail, PersonSummary } from '@countersign/identity';
import type { AdminClient } from '../admin-client.ts';
import type { Arguments, Io } from '../command-line/command.ts';
import { authorityOf } from '../commands/options.ts';

/** People in one answer. */
const PAGE = 5000;

/** What the commands ask of the authority that runs on a data folder. */
export interface PeopleClient {
  list(isEnabled: boolean | undefined): Promise<readonly PersonSummary[]>;
  show(name: string): Promise<PersonDetail>;
  orphans(): Promise<readonly Orphan[]>;
  change(
    verb: 'disable' | 'enable' | 'resume',
    body: { readonly name: string; readonly reason: string },
  ): Promise<{ readonly spiffeId: string }>;
  importHr(body: {
    readonly rows: readonly unknown[];
    readonly apply: boolean;
    readonly leavers?: number;
  }): Promise<HrImported>;
}

/** The people of the authority on the data folder that the command names. */
export function peopleOf(args: Arguments, io: Io): PeopleClient {
  const client: AdminClient = authorityOf(args, io);
  return {
    async list(isEnabled) {
      const all: PersonSummary[] = [];
      for (let after: number | undefined = 0; after !== undefined; ) {
        const query: string = `after=${after}&limit=${PAGE}${isEnabled === undefined ? '' : `&enabled=${isEnabled}`}`;
        const page: { people: readonly PersonSummary[]; next?: number } = await client.call(
          'GET',
          `/v1/people?${query}`,
        );
        all.push(...page.people);
        after = page.next;
      }
      return all;
    },
    show: (name) => client.call('GET', `/v1/people/show?name=${encodeURIComponent(name)}`),
    orphans: () => client.call('GET', '/v1/people/orphans'),
    change: (verb, body) => client.call('POST', `/v1/people/${verb}`, body),
    importHr: (body) => client.call('POST', '/v1/people/hr-imports', body),
  };
}
