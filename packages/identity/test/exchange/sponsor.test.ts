import { DEFAULT_PEOPLE, readHrFeed } from '@countersign/identity';
import { expect, test } from 'vitest';
import { assistant, errorOf, startAgentBank } from './agent-bank.ts';

test('an agent acts for nobody from the moment that its sponsor leaves, and for all again when there is another', async () => {
  const agents = await startAgentBank({
    people: { ...DEFAULT_PEOPLE, hr: { ...DEFAULT_PEOPLE.hr, createsPeople: true } },
  });
  try {
    const { people } = agents.bank.authority.identity;
    const rows = readHrFeed(
      'employeeNumber,userName,startDate\n1,dana,2020-01-01\n2,erin,2020-01-01',
      'csv',
    );
    await people.importHr({ rows, isApplied: true, by: 'local:uid=0' });
    await agents.set({ [assistant]: { owner: 'dana' } });
    const handed = await agents.handed();
    expect(await errorOf(agents.assistant.exchange(handed))).toBe('none');
    await people.disable('dana', { reason: 'gone', by: 'local:uid=0' });
    expect(await errorOf(agents.assistant.exchange(handed))).toBe('access_denied');
    const refusal = agents.bank.authority.events.findLast(({ kind }) => kind === 'authentication');
    expect(refusal).toMatchObject({ reason: 'issuer-access-denied', actors: [assistant] });
    await agents.set({ [assistant]: { owner: 'erin' } });
    expect(await errorOf(agents.assistant.exchange(handed))).toBe('none');
  } finally {
    await agents.close();
  }
});
