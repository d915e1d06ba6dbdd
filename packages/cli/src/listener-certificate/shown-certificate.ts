import type { RecordQuestions } from '../authority/record/record-questions.ts';

/**
 * Which certificate a listener of a point shows, by the point's own word: only the point signs its log.
 *
 * @param listener `edge/partners`
 * @returns SHA-256 (base64url) over its DER; nothing when the point did not say, or it has not come yet
 */
export async function shownCertificate(
  listener: string,
  { questions }: { readonly questions: Pick<RecordQuestions, 'index' | 'catchUp'> },
): Promise<string | undefined> {
  const [point = ''] = listener.split('/');
  await questions.catchUp();
  const { rows } = await questions.index.ask(
    {
      logs: [point],
      where: [
        { fields: ['action'], values: ['certificate-shown'] },
        { fields: ['target'], values: [listener] },
      ],
    },
    { order: 'newest', limit: 1 },
  );
  const [event] = rows.map((row) => row.event);
  const sha256 = event?.kind === 'administration' ? event.detail?.['sha256'] : undefined;
  return typeof sha256 === 'string' ? sha256 : undefined;
}
