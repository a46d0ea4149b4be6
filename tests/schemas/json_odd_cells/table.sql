-- A data team that loads order files with a script and keeps its own bookkeeping columns
-- beside the orders. Orders without goods have null, an empty text or [] in line_items.
CREATE TABLE orders (
  id bigint(20) unsigned NOT NULL,
  file varchar(64) DEFAULT NULL,
  r int(11) DEFAULT NULL,
  l int(11) DEFAULT NULL,
  t varchar(16) DEFAULT NULL,
  `key` varchar(16) DEFAULT NULL,
  segment varchar(32) DEFAULT NULL,
  name varchar(32) NOT NULL,
  customer_id bigint(20) unsigned DEFAULT NULL,
  created_at datetime NOT NULL,
  currency char(3) NOT NULL,
  financial_status varchar(32) DEFAULT NULL,
  subtotal_price decimal(10,2) NOT NULL,
  total_discounts decimal(10,2) NOT NULL,
  total_tax decimal(10,2) NOT NULL,
  total_price decimal(10,2) NOT NULL,
  total_shipping decimal(10,2) NOT NULL,
  line_items longtext DEFAULT NULL,
  refunds longtext DEFAULT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARSET=utf8mb4;
