-- A British shop that sells in the first days of each month and stores dates as 04/02/2025 10:15.
CREATE TABLE orders (
  id int(11) NOT NULL AUTO_INCREMENT,
  order_number varchar(20) NOT NULL,
  created_at varchar(16) NOT NULL,
  email varchar(191) DEFAULT NULL,
  currency char(3) NOT NULL,
  financial_status varchar(30) NOT NULL,
  subtotal_price decimal(10,2) NOT NULL,
  total_discounts decimal(10,2) NOT NULL,
  total_shipping decimal(10,2) NOT NULL,
  total_tax decimal(10,2) NOT NULL,
  total_price decimal(10,2) NOT NULL,
  total_refunded decimal(10,2) NOT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARSET=utf8mb4;
