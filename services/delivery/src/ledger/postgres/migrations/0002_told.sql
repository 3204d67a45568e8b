-- Whether the end of a delivery was told to the flow that waits for it; null: none waits. What an older version writes beside
-- this one is awaited by none.
ALTER TABLE delivery ADD COLUMN told boolean;
CREATE INDEX delivery_untold ON delivery (position, lane) WHERE told = false AND state <> 'pending';
