-- Whether the end of a delivery was told to the flow that waits for it; null: none waits.
ALTER TABLE delivery ADD COLUMN told INTEGER;
CREATE INDEX delivery_untold ON delivery (position, lane) WHERE told = 0 AND state <> 'pending';
