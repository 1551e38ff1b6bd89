/**
 * Progress: a bar with rate and time left on stderr, when that is a terminal; silent otherwise.
 */
import cliProgress from 'cli-progress';

export interface Progress {
  /** `done` of the total that was given at start; `note` stands behind the bar. */
  update(done: number, note?: string): void;
  stop(): void;
}

const SILENT: Progress = { update() {}, stop() {} };

/** `unit` names what is counted: `MB` divides by a million, anything else counts as it is. */
export function startProgress(what: string, total: number, unit: string): Progress {
  if (process.stderr.isTTY !== true || total <= 0) return SILENT;
  const scale = unit === 'MB' ? 1e-6 : 1;
  const round = (value: number): number => Math.round(value * scale * 10) / 10;
  const startedMs = performance.now();
  const bar = new cliProgress.SingleBar(
    {
      format:
        `${what} [{bar}] {percentage}% | {value}/{total} ${unit} | {rate} ${unit}/s` +
        ' | {eta_formatted} left {note}',
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      etaBuffer: 50,
    },
    cliProgress.Presets.legacy,
  );
  bar.start(round(total), 0, { rate: '0', note: '' });
  return {
    update(done, note = '') {
      const seconds = (performance.now() - startedMs) / 1000;
      const rate = seconds > 0 ? ((done * scale) / seconds).toFixed(1) : '0';
      bar.update(round(done), { rate, note });
    },
    stop() {
      bar.stop();
    },
  };
}
