import type { Registration } from '@countersign/model';
import { listOf, quote } from '../document/describe.ts';
import type { Report } from '../document/report.ts';
import { didYouMean } from '../document/suggest.ts';
import type { Located } from './repository-source.ts';

/** Checks who acts for others: agents and workloads, by tokens that somebody of the repository may get for them. */
export function checkExchange(
  registrations: readonly Located<Registration>[],
  report: Report,
): void {
  const clients = new Map(
    registrations.flatMap(({ value: { client } }) => (client ? [[client.id, client]] : [])),
  );
  for (const { value, document, path } of registrations) {
    const { client, subject } = value;
    if (!client?.exchange) continue;
    const at = (...more: PropertyKey[]) => document.at([...path, 'client', 'exchange', ...more]);
    const { from, serves } = client.exchange;
    if (subject.kind !== 'agent' && subject.kind !== 'workload') {
      report.error(at(), {
        found: `exchange of a ${subject.kind}`,
        expected: 'an agent or workload: nobody else acts for others',
        mend: 'remove it, or name it agent/…',
      });
    }
    if (client.people) {
      report.error(at(), {
        found: 'exchange of an application that people sign in to',
        expected: 'one or the other: that application has their tokens already',
        mend: 'give whoever acts for them an identity of its own',
      });
    }
    for (const [index, id] of from.entries()) {
      if (id === client.id) {
        report.error(at('from', index), {
          found: `${quote(id)}, which it is itself`,
          expected: 'others: nobody is twice in a chain',
          mend: 'remove it',
        });
      } else if (!clients.has(id)) {
        report.error(at('from', index), {
          found: `client ${quote(id)}`,
          expected: `the id of a client in identities/: ${listOf(clients.keys())}`,
          mend: didYouMean(id, clients.keys(), 'register it, or remove it'),
        });
      }
    }
    for (const [index, audience] of serves.entries()) {
      const handing = from.flatMap((id) => clients.get(id) ?? []);
      if (handing.length < from.length) continue;
      if (handing.some(({ audiences }) => audiences.includes(audience))) continue;
      report.error(at('serves', index), {
        found: `audience ${quote(audience)}, for which no client of 'from' gets tokens`,
        expected: 'one that such a client may ask for: those are the tokens that it is handed',
        mend: "add it to that client's 'audiences'",
      });
    }
  }
}
