// What one image brings: the picture and a label map for each requested task.

/** `data` is [height, width, channels]: a picture in 0..255, normals in −1..1, anything else one channel. */
export type Field = {
  readonly height: number; readonly width: number; readonly channels: number; readonly data: Float32Array;
};
export type DataTask = 'semseg' | 'human_parts' | 'sal' | 'normals' | 'edge' | 'depth';
/** `size` is the picture's own [height, width]. */
export type Sample = {
  readonly id: string;
  readonly size: readonly [number, number];
  readonly image: Field;
  readonly labels: ReadonlyMap<DataTask, Field>;
};

/** The value that no loss and no metric counts, in every label. */
export const IGNORE = 255;

/** Whether a task's labels are classes or masks, of which a byte holds one. */
export function fitsBytes(task: DataTask): boolean {
  return task !== 'normals' && task !== 'depth';
}

export function channelsOf(task: DataTask): number {
  return task === 'normals' ? 3 : 1;
}

export function makeField(height: number, width: number, data: ArrayLike<number>): Field {
  const values = data instanceof Float32Array ? data : new Float32Array(data);
  return { height, width, channels: values.length / (height * width), data: values };
}

/** `change` for the image and every label of `sample`; a label's task is given, the image's is 'image'. */
export function mapFields(sample: Sample, change: (field: Field, name: DataTask | 'image') => Field): Sample {
  const labels = new Map([...sample.labels].map(([task, field]) => [task, change(field, task)]));
  return { ...sample, image: change(sample.image, 'image'), labels };
}
